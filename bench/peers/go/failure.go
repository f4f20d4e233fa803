package main

import (
	"encoding/json"
	"net/http"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An error as the upstream writes it: by itself or below "error".
type failed struct {
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

var byHTTP = map[int]codes.Code{
	http.StatusBadRequest:         codes.InvalidArgument,
	http.StatusUnauthorized:       codes.Unauthenticated,
	http.StatusForbidden:          codes.PermissionDenied,
	http.StatusNotFound:           codes.NotFound,
	http.StatusConflict:           codes.Aborted,
	http.StatusTooManyRequests:    codes.ResourceExhausted,
	http.StatusBadGateway:         codes.Unavailable,
	http.StatusServiceUnavailable: codes.Unavailable,
	http.StatusGatewayTimeout:     codes.Unavailable,
}

func failure(response *http.Response, body []byte) error {
	var answer failed
	_ = json.Unmarshal(body, &answer)
	if answer.Error != nil {
		answer.Code, answer.Message = answer.Error.Code, answer.Error.Message
	}
	code, known := byHTTP[response.StatusCode]
	if !known {
		code = codes.Internal
	}
	if answer.Code == "common.0011" {
		code = codes.NotFound
	}
	message := answer.Message
	if message == "" {
		message = "the upstream answered " + response.Status
	}
	result, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{
		Reason: "UPSTREAM_ERROR",
		Domain: "gateway",
		Metadata: map[string]string{
			"upstream_code":        answer.Code,
			"upstream_http_status": strconv.Itoa(response.StatusCode),
		},
	})
	if err != nil {
		return status.Error(code, message)
	}
	return result.Err()
}
