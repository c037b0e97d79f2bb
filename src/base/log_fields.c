/*
 * log_fields.c - what is the same in each line of a log.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/log_fields.h"

#include "serin_config.h"

#define OF_EACH_LINE                                                                                                   \
    "\"" LOG_ECS_VERSION "\":\"9.0.0\",\"" LOG_SERVICE_NAME "\":\"serin\",\"" LOG_SERVICE_TYPE                         \
    "\":\"serin\",\"" LOG_SERVICE_VERSION "\":\"" SERIN_VERSION "\",\"" LOG_KIND "\":\"event\",\"" LOG_DATASET "\":"

const char log_event_keys[] = OF_EACH_LINE "\"serin.serve\",\"" LOG_DOING "\":";
const char log_access_keys[] =
    OF_EACH_LINE "\"serin.access\",\"" LOG_CATEGORY "\":[\"web\"],\"" LOG_TYPE "\":[\"access\"],\"" LOG_DOING "\":";
