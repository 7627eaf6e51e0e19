/* Parameters of a request, out of its query and its body. Internal to http_request. */
#ifndef SENDGUARD_HTTP_PARAMS_H
#define SENDGUARD_HTTP_PARAMS_H

#include "base/problem.h"
#include "http_server/http_request.h"

/* Adds them to request->params. 1; or 0 with *problem as http_request_make. */
int http_params_read(const struct raw_request *raw, struct http_request *request,
                     struct problem *problem) must_check;

#endif
