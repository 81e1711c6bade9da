package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
)

// A Problem is why a request was refused or failed. It is sent as JSON,
// {"error": {"code": …}}.
type Problem struct {
	Status    int    `json:"status"` // of HTTP
	Code      string `json:"code"`   // for programs: it stays the same while the message may change
	Message   string `json:"message"`
	RequestID string `json:"request_id,omitempty"`
	// RetryAfter is when another try may succeed, in seconds; 0 if that is unknown. The header
	// Retry-After has it, too.
	RetryAfter int `json:"retry_after,omitempty"`

	err error // for the log
}

// Error returns the code and the message.
func (p *Problem) Error() string { return "serve: " + p.Code + ": " + p.Message }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.err }

func problem(status int, code, format string, args ...any) *Problem {
	return &Problem{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// statusLeft is the status in the log of a request whose client has left, as nginx has it.
const statusLeft = 499

// asProblem says what an error of reading or segmenting a picture is to a client.
func asProblem(err error) *Problem {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p
	}
	of := func(status int, code string) *Problem {
		return &Problem{Status: status, Code: code, Message: err.Error(), err: err}
	}
	var (
		tooLarge *http.MaxBytesError
		option   *diffusioninst.OptionError
		limit    *diffusioninst.LimitError
		image    *diffusioninst.ImageError
	)
	switch {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, "body_too_large", "the body has more than %d bytes", tooLarge.Limit)
	case errors.As(err, &option):
		return of(http.StatusBadRequest, "bad_option")
	case errors.As(err, &limit):
		return of(http.StatusUnprocessableEntity, "needs_too_much")
	case errors.As(err, &image):
		return of(http.StatusUnprocessableEntity, "bad_picture")
	case errors.Is(err, picture.ErrTooLarge):
		return of(http.StatusRequestEntityTooLarge, "picture_too_large")
	case errors.Is(err, picture.ErrFormat):
		return of(http.StatusUnsupportedMediaType, "unknown_format")
	case errors.Is(err, picture.ErrEmpty):
		return of(http.StatusUnprocessableEntity, "empty_picture")
	case errors.Is(err, picture.ErrTruncated):
		return of(http.StatusUnprocessableEntity, "truncated_picture")
	case errors.Is(err, picture.ErrChoice):
		return of(http.StatusUnprocessableEntity, "choose_page")
	case errors.Is(err, picture.ErrCorrupt):
		return of(http.StatusUnprocessableEntity, "bad_picture")
	case errors.Is(err, context.DeadlineExceeded):
		return &Problem{Status: http.StatusGatewayTimeout, Code: "deadline", Message: "the result was not there in time", err: err}
	case errors.Is(err, context.Canceled):
		return &Problem{Status: statusLeft, Code: "client_left", Message: "the client has left", err: err}
	case errors.Is(err, diffusioninst.ErrClosed):
		return of(http.StatusServiceUnavailable, "stopping")
	}
	return &Problem{Status: http.StatusInternalServerError, Code: "internal", Message: "the server could not segment the picture; its log says why under the request's id", err: err}
}
