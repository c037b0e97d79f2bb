/*
 * gpu_test.c - a library of management that says what it is told to.
 * SPDX-License-Identifier: Apache-2.0
 */
#define dlopen  fake_dlopen
#define dlsym   fake_dlsym
#define dlclose fake_dlclose
#include "runtime/gpu.c"
#undef dlopen
#undef dlsym
#undef dlclose

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct {
    const char *missing;
    int init, processes, closed;
    unsigned busy;
} fake;

static int fake_init(void)
{
    return fake.init;
}

static int fake_count(unsigned *count)
{
    *count = 2;
    return 0;
}

static int fake_device(unsigned index, nvml_device *device)
{
    memcpy(device, &(uintptr_t){index + 1}, sizeof(*device));
    return 0;
}

static int fake_name(nvml_device device, char *name, unsigned size)
{
    snprintf(name, size, "GPU %d", (int)(uintptr_t)device);
    return 0;
}

static int fake_utilisation(nvml_device device, struct nvml_utilisation *utilisation)
{
    (void)device;
    utilisation->gpu = fake.busy;
    return 0;
}

static int fake_processes(nvml_device device, unsigned *count, struct nvml_process *processes)
{
    const struct nvml_process list[] = {{7, 100, 0, 0}, {8, 1000, 0, 0}, {7, 10, 1, 0}, {9, ~0ull, 0, 0}};

    (void)device;
    assert_true(*count >= 4);
    memcpy(processes, list, sizeof(list));
    *count = 4;
    return fake.processes;
}

void *fake_dlopen(const char *name, int flags)
{
    (void)flags;
    assert_string_equal(name, "libnvidia-ml.so.1");
    return fake.missing && !*fake.missing ? NULL : &fake;
}

int fake_dlclose(void *library)
{
    (void)library;
    return ++fake.closed;
}

void *fake_dlsym(void *library, const char *name)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } functions[] = {{"nvmlInit_v2", (void (*)(void))fake_init},
                     {"nvmlDeviceGetCount_v2", (void (*)(void))fake_count},
                     {"nvmlDeviceGetHandleByIndex_v2", (void (*)(void))fake_device},
                     {"nvmlDeviceGetName", (void (*)(void))fake_name},
                     {"nvmlDeviceGetUtilizationRates", (void (*)(void))fake_utilisation},
                     {"nvmlDeviceGetComputeRunningProcesses_v3", (void (*)(void))fake_processes},
                     {"nvmlDeviceGetComputeRunningProcesses_v2", (void (*)(void))fake_processes}};
    void *found = NULL;
    size_t i;

    (void)library;
    for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (strcmp(functions[i].name, name) == 0 && !(fake.missing && strcmp(fake.missing, name) == 0))
            memcpy(&found, &functions[i].function, sizeof(found));
    return found;
}

static void without_the_library_there_is_none(void **state)
{
    static const char *const missing[] = {"", "nvmlInit_v2", "nvmlDeviceGetUtilizationRates"};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        memset(&fake, 0, sizeof(fake));
        fake.missing = missing[i];
        open_nvml();
        assert_int_equal(nvml.count, -1);
        assert_int_equal(fake.closed, i > 0);
    }
    memset(&fake, 0, sizeof(fake));
    fake.init = 9; /* a library without a driver */
    open_nvml();
    assert_int_equal(nvml.count, -1);
    assert_int_equal(fake.closed, 1);
}

static void a_process_has_what_it_has_on_all_instances(void **state)
{
    double utilisation = -1;
    uint64_t bytes = 77;
    char name[32];

    (void)state;
    memset(&fake, 0, sizeof(fake));
    assert_int_equal(gpu_count(), 2);
    fake.missing = "nvmlDeviceGetComputeRunningProcesses_v3"; /* an older driver */
    open_nvml();
    assert_int_equal(gpu_count(), 2);
    assert_true(gpu_name(1, name, sizeof(name)));
    assert_string_equal(name, "GPU 2");
    fake.busy = 25;
    assert_true(gpu_usage(0, 7, &bytes, &utilisation));
    assert_int_equal(bytes, 110);
    assert_true(utilisation == .25);
    assert_true(gpu_usage(0, 9, &bytes, &utilisation)); /* not available */
    assert_int_equal(bytes, 0);
    assert_true(gpu_usage(0, 1234, &bytes, &utilisation));
    assert_int_equal(bytes, 0);
    bytes = 77;
    assert_false(gpu_usage(2, 7, &bytes, &utilisation));
    assert_false(gpu_usage(-1, 7, &bytes, &utilisation));
    assert_false(gpu_name(2, name, sizeof(name)));
    fake.processes = 3;
    assert_false(gpu_usage(0, 7, &bytes, &utilisation));
    assert_int_equal(bytes, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_the_library_there_is_none),
                                       cmocka_unit_test(a_process_has_what_it_has_on_all_instances)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
