package serve

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Package grpc reads a body as fast as it comes, into a buffer of 16 kB for each frame of a byte, and a
// message of small values takes a hundred times its length in memory. So bodies are read before package
// grpc sees them, and their values are counted.

// valueBytes is what a value of a message, of JSON or gRPC, takes at most besides its text.
const valueBytes = 256

// messageHead is the length of what gRPC has before a message: whether it is compressed, and its length.
const messageHead = 5

// readMessage returns the body of a call with one message.
func readMessage(r *http.Request, limit int64, p *place) ([]byte, error) {
	data, err := readWhole(r, limit, p)
	if err == nil && (len(data) < messageHead || data[0] != 0 || uint64(binary.BigEndian.Uint32(data[1:])) != uint64(len(data)-messageHead)) {
		err = problem(http.StatusBadRequest, "bad_body", "the body is not one message that is not compressed")
	}
	return data, err
}

// A messageBody is a body that was read before. It forgets its data when all of it is read again.
type messageBody struct{ data []byte }

func (m *messageBody) Read(p []byte) (int, error) {
	n := copy(p, m.data)
	if m.data = m.data[n:]; len(m.data) == 0 {
		m.data = nil
		return n, io.EOF
	}
	return n, nil
}

func (m *messageBody) Close() error { return nil }

// maxReads bounds the frames of a stream of small messages.
const maxReads = 256

// A fewReads is a body that ends with an error after a number of reads.
type fewReads struct {
	io.ReadCloser
	left int
}

func (f *fewReads) Read(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errors.New("serve: the stream has too many messages")
	}
	return f.ReadCloser.Read(p)
}

// protoValues returns how many values a call's message has, also of the messages in it. What cannot be
// read ends the count: package proto refuses it.
func protoValues(call []byte, m protoreflect.MessageDescriptor) int64 {
	return countValues(call[messageHead:], m)
}

func countValues(data []byte, m protoreflect.MessageDescriptor) (values int64) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return values
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return values
		}
		values++
		if field := m.Fields().ByNumber(number); field != nil && kind == protowire.BytesType {
			inside, _ := protowire.ConsumeBytes(data)
			switch {
			case field.Message() != nil:
				values += countValues(inside, field.Message())
			case field.IsPacked():
				values += int64(len(inside))/16 + 1 // a byte may be a number of eight
			}
		}
		data = data[n:]
	}
	return values
}

// jsonValues returns how many values a text of JSON has at most.
func jsonValues(text []byte) (values int64) {
	for len(text) > 0 {
		n := 1
		switch text[0] {
		case ',', '[', '{':
			values++
		case '"':
			n = quoted(text)
		}
		text = text[n:]
	}
	return values
}

// quoted returns the length of the string that JSON begins with, or of all if it does not end.
func quoted(text []byte) int {
	for end := 1; ; {
		n := bytes.IndexByte(text[end:], '"')
		if n < 0 {
			return len(text)
		}
		end += n
		escapes := 0
		for text[end-1-escapes] == '\\' {
			escapes++
		}
		end++
		if escapes%2 == 0 {
			return end
		}
	}
}
