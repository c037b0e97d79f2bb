/*
 * ort_message_test.c - messages as ONNX Runtime 1.2x really gives them, and what is left of each.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/ort_message.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void places_in_its_source_are_left_out(void **state)
{
    static const struct {
        const char *message, *expected;
    } rows[] = {
        {"Type Error: Type parameter (T) of Optype (Add) bound to different types (tensor(float) and tensor(int64) in "
         "node ().",
         "Type Error: Type parameter (T) of Optype (Add) bound to different types (tensor(float) and tensor(int64) in "
         "node ()."},
        {"Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:359 void* "
         "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for "
         "requested buffer of size 24\n",
         "Status Message: Failed to allocate memory for requested buffer of size 24"},
        {"Load model from a.onnx failed:/onnxruntime_src/onnxruntime/core/graph/graph.cc:1394 "
         "onnxruntime::Graph::Graph(const onnxruntime::Model&, const std::unordered_map<std::__cxx11::basic_string"
         "<char>, int>&, bool) utils::HasName(sparse_tensor) was false. It must have a name\n",
         "Load model from a.onnx failed:utils::HasName(sparse_tensor) was false. It must have a name"},
        {"/onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 onnxruntime::ReshapeHelper::"
         "ReshapeHelper(const onnxruntime::TensorShape&, bool) a == b was false. Input shape:{1,3}\n\n",
         "a == b was false. Input shape:{1,3}"},
        {"/src/a.cc:7 auto onnxruntime::f<T>::operator()(int) const [with T = float; int N = (3)] cause (one) here",
         "cause (one) here"},
        {"/src/a.cc:7 onnxruntime::f(int)::<lambda(const char*)> the cause", "the cause"},
        {"/src/a.cc:7 bool g() const the cause", "the cause"},
        {"tensorprotoutils.cc:592 ValidateExternalDataPath Absolute path not allowed", "Absolute path not allowed"},
        {"one\ntwo /src/a.cu:1 void f() three /src/b.cc:2 void g() four", "one two three four"},
        {"/src/a.cc:7 no signature here", "no signature here"},
        {"/src/a.cc:7 void f()", "/src/a.cc:7 void f()"}, /* nothing would be left */
        {"model.h:x and a.cc:12", "model.h:x and a.cc:12"},
        {"", ""},
        {" \n", ""},
    };
    char text[400];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(ort_message_copy(rows[i].message, text, sizeof(text)), rows[i].expected);
}

static void long_messages_are_cut(void **state)
{
    char text[8];

    (void)state;
    assert_string_equal(ort_message_copy("0123456789", text, sizeof(text)), "0123456");
    assert_string_equal(ort_message_copy("/a.cc:7 f() 0123456789", text, sizeof(text)), "0123456");
    text[0] = 'x';
    ort_message_copy("abc", text, 0);
    assert_int_equal(text[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_in_its_source_are_left_out),
        cmocka_unit_test(long_messages_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
