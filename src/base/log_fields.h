/*
 * log_fields.h - every field that a line of a log may have, and what each line begins with.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names and types are those of the Elastic Common Schema 9 ("ECS field reference"); what it has no word for is under
 * serin., and doing. docs/monitoring.md and deploy/elasticsearch/index-template.json list the same, and a test holds
 * them together with what is really written.
 */
#ifndef BASE_LOG_FIELDS_H
#define BASE_LOG_FIELDS_H

/* of each line */
#define LOG_TIME            "@timestamp"      /* date: when it happened, UTC */
#define LOG_LEVEL           "log.level"       /* keyword: info, warn, error */
#define LOG_ECS_VERSION     "ecs.version"     /* keyword: of the schema */
#define LOG_SERVICE_NAME    "service.name"    /* keyword: serin */
#define LOG_SERVICE_TYPE    "service.type"    /* keyword: serin */
#define LOG_SERVICE_VERSION "service.version" /* keyword: of the program */
#define LOG_KIND            "event.kind"      /* keyword: event */
#define LOG_DATASET         "event.dataset"   /* keyword: serin.serve, serin.access */
#define LOG_DOING           "doing"           /* keyword: what was being done */
/* of events */
#define LOG_MESSAGE "message" /* match_only_text: a sentence */
/* of the access log */
#define LOG_CATEGORY       "event.category"      /* keyword: web */
#define LOG_TYPE           "event.type"          /* keyword: access */
#define LOG_OUTCOME        "event.outcome"       /* keyword: success; failure from 400 on; unknown: the client went */
#define LOG_DURATION       "event.duration"      /* long: nanoseconds from the request's head to its answer */
#define LOG_REQUEST_ID     "http.request.id"     /* keyword: as X-Request-Id */
#define LOG_METHOD         "http.request.method" /* keyword: as it was sent */
#define LOG_REQUEST_BYTES  "http.request.body.bytes"   /* long: of the picture */
#define LOG_STATUS         "http.response.status_code" /* long: 499 where the client went away before its answer */
#define LOG_RESPONSE_BYTES "http.response.body.bytes"  /* long: of the answer */
#define LOG_PATH           "url.path"                  /* wildcard: without the query */
#define LOG_CLIENT         "client.address"            /* keyword: address and port */
#define LOG_TRACE_ID       "trace.id"                  /* keyword: of a request that was traced (W3C Trace Context) */
#define LOG_ERROR          "error.message"             /* match_only_text: what went wrong */
#define LOG_MODEL          "serin.model"               /* keyword: the model */
#define LOG_ASSIGNED       "serin.assigned"            /* keyword: the version that the route chose */
#define LOG_VERSION        "serin.version"             /* keyword: the version that answered */
#define LOG_REASON         "serin.reason"              /* keyword: why that version: weight, key, block, rule, path */
#define LOG_TRIES          "serin.tries"               /* long: how often a replica was asked */
#define LOG_FALLBACK       "serin.fallback"            /* boolean: stable answered in the version's place */
#define LOG_MIRRORED       "serin.mirrored"            /* boolean: copies were sent to other versions */

/* What is the same in each line, with the key of doing behind it: for json_raw_key, which puts the comma. */
extern const char log_event_keys[], log_access_keys[];

#endif
