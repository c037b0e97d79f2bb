/*
 * main.c - the one program: everything it does is a verb, and the verbs are this table.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/cli.h"

static const struct cli_verb *const verbs[] = {
    &cli_predict,  /* find objects, masks, keypoints or classes in pictures */
    &cli_eval,     /* how accurate a model is on labelled pictures */
    &cli_inspect,  /* what a model is, and what about it will hurt */
    &cli_bench,    /* how fast it is, stage by stage */
    &cli_quantize, /* an int8 model of one in fp32 */
    &cli_push,     /* put a model into the store as a version that never changes */
    &cli_versions, /* what is in the store */
    &cli_diff,     /* what differs between two versions of it */
    &cli_rm,       /* take a version out of it */
    &cli_lint,     /* is a plan of a release right, and what do its steps need */
    &cli_judge,    /* decide from recorded observations */
    &cli_serve,    /* run versions side by side, and send each request to one of them */
    &cli_token,    /* who may do what on its ports */
    &cli_worker,   /* serve one version over HTTP */
    /* of a running serin serve: */
    &cli_deploy,   /* start a version, as stable or as canary */
    &cli_undeploy, /* stop one */
    &cli_route,    /* who gets which share */
    &cli_rollout,  /* released by evidence */
    &cli_freeze,   /* when nothing goes forward */
    &cli_frames,   /* on which versions differ */
    &cli_status,   /* what runs, and how it fares */
    &cli_reload,   /* have it read its configuration again */
    &cli_stream,   /* play footage to it as cameras would */
    NULL,
};

int main(int argc, char **argv)
{
    return cli_main(argc, argv, verbs);
}
