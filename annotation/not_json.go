package annotation

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/diffusioninst/go/internal/regular"
)

// notJSON returns an error that says what a file is that is called JSON and is something else, or nil.
func notJSON(name string) error {
	f, err := regular.OpenStream(name)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	text := strings.ToLower(string(bytes.TrimSpace(head)))
	what := ""
	switch {
	case text == "":
		what = "it is empty"
	case strings.HasPrefix(string(head), "\x1f\x8b"):
		what = "it is compressed with gzip: unpack it first"
	case strings.HasPrefix(string(head), "PK\x03\x04"):
		what = "it is a zip archive: unpack it first"
	case strings.HasPrefix(text, "version https://git-lfs"):
		what = "it is a Git LFS pointer: fetch the file itself with git lfs pull"
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		what = "it is a web page: probably the download failed or needs a login"
	case strings.HasPrefix(text, "//"), strings.HasPrefix(text, "/*"), strings.HasPrefix(text, "#"):
		what = "it begins with a comment, which JSON does not have: take it out"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", errForeign, what)
}
