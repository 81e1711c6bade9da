package serve

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
)

// readPicture returns the bytes of the picture in a request: its body, or the part "image" of
// a form. The place holds them.
func readPicture(r *http.Request, limit int64, p *place) ([]byte, error) {
	if err := uncompressed(r); err != nil {
		return nil, err
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return nil, problem(http.StatusUnsupportedMediaType, "media_type", "Content-Type cannot be read: %v", err)
	}
	form := kind == "multipart/form-data"
	switch {
	case form && params["boundary"] == "":
		return nil, problem(http.StatusBadRequest, "bad_form", "the form has no boundary")
	case form, kind == "", kind == "application/octet-stream", strings.HasPrefix(kind, "image/"),
		kind == "application/x-www-form-urlencoded": // what curl --data-binary says of any file
	default:
		return nil, problem(http.StatusUnsupportedMediaType, "media_type", "%s is not a picture: send image/*, application/octet-stream or multipart/form-data with a part named image", kind)
	}
	whole, err := limited(r, limit, p)
	if err != nil {
		return nil, err
	}
	body := whole
	if form {
		if body, err = imagePart(whole, params["boundary"]); err != nil {
			return nil, bodyProblem(err, "bad_form")
		}
	}
	data, err := readAll(r, body)
	if err != nil {
		return nil, err
	}
	if form {
		if _, err := body.(*formImage).form.NextRawPart(); !errors.Is(err, io.EOF) {
			if err == nil {
				err = errors.New("more than one part: send one picture per request, and options in the URL")
			}
			return nil, bodyProblem(err, "bad_form")
		}
		// The body ends behind the form's last line. What is left of it would be read as the answer is sent, without a limit of time, and
		// until it has ended nobody notices that the client leaves.
		if _, err := io.Copy(io.Discard, whole); err != nil {
			return nil, bodyProblem(err, "bad_form")
		}
	}
	if len(data) == 0 {
		return nil, problem(http.StatusUnprocessableEntity, "empty_picture", "the picture has no bytes")
	}
	return data, p.hold(int64(cap(data)))
}

// readWhole returns the whole body of a request. The place holds it.
func readWhole(r *http.Request, limit int64, p *place) ([]byte, error) {
	if err := uncompressed(r); err != nil {
		return nil, err
	}
	body, err := limited(r, limit, p)
	if err != nil {
		return nil, err
	}
	data, err := readAll(r, body)
	if err != nil {
		return nil, err
	}
	return data, p.hold(int64(cap(data)))
}

// uncompressed refuses bodies that are compressed.
func uncompressed(r *http.Request) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return problem(http.StatusUnsupportedMediaType, "content_encoding", "the body is compressed (%s): send it as it is", encoding)
	}
	return nil
}

// limited returns a request's body, for which the place holds memory, and which ends with an error
// after limit bytes.
func limited(r *http.Request, limit int64, p *place) (io.Reader, error) {
	body := http.MaxBytesReader(nil, r.Body, limit)
	switch length := r.ContentLength; {
	case length > limit:
		return nil, &http.MaxBytesError{Limit: limit}
	case length < 0:
		return &growingBody{body: body, limit: limit, place: p}, nil
	default:
		return body, p.hold(length + 1)
	}
}

// A growingBody is a body of a length that nobody knows before it is read: its place holds more as it
// comes.
type growingBody struct {
	body       io.Reader
	limit      int64
	place      *place
	read, room int64
}

func (g *growingBody) Read(p []byte) (int, error) {
	n, err := g.body.Read(p)
	if g.read += int64(n); g.read > g.room {
		g.room = min(2*g.read, g.limit+1)
		// A bytes.Buffer that grows is twice as large afterwards, and the old one is there still.
		if held := g.place.hold(3*g.room + bytes.MinRead); held != nil {
			return n, held
		}
	}
	return n, err
}

func readAll(r *http.Request, body io.Reader) ([]byte, error) {
	var data bytes.Buffer
	if r.ContentLength > 0 {
		data.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(body); err != nil {
		return nil, bodyProblem(err, "bad_body")
	}
	return data.Bytes(), nil
}

// A formImage is the part of a form with the picture. The name of its file is of no interest.
type formImage struct {
	*multipart.Part
	form *multipart.Reader
}

func imagePart(body io.Reader, boundary string) (*formImage, error) {
	form := multipart.NewReader(body, boundary)
	part, err := form.NextRawPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the form has no part named image")
	case err != nil:
		return nil, err
	case part.FormName() != "image":
		return nil, errors.New("the form's first part is not named image: options belong into the URL")
	}
	return &formImage{part, form}, nil
}

// bodyProblem says what became of a body that could not be read.
func bodyProblem(err error, code string) error {
	var tooLarge *http.MaxBytesError
	var refused *Problem
	switch {
	case errors.As(err, &tooLarge), errors.As(err, &refused):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Problem{Status: http.StatusRequestTimeout, Code: "slow_body", Message: "the body did not come in time", err: err}
	}
	return &Problem{Status: http.StatusBadRequest, Code: code, Message: "the body cannot be read: " + err.Error(), err: err}
}
