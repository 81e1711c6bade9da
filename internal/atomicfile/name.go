package atomicfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Suffix ends the name of a file while its next content is being written.
const Suffix = ".part"

// longest is the most bytes that a file's name can have on nearly every system.
const longest = 255

// partName returns the name of the file that is written first. It is path with Suffix, or
// for a name that is too long for that its beginning and a checksum.
func partName(path string) string {
	folder, name := filepath.Split(path)
	if len(name)+len(Suffix) <= longest || len(name) > longest {
		return path + Suffix
	}
	begin := strings.ToValidUTF8(name[:longest/2], "") // not half a character
	return fmt.Sprintf("%s%s~%x%s", folder, begin, sha256.Sum256([]byte(name)), Suffix)
}

// cannot returns an error that names path, which may be absurdly long, once.
func cannot(what, path string, err error) error {
	if runes := []rune(path); len(runes) > 200 {
		path = fmt.Sprintf("%s… (%d characters)", string(runes[:80]), len(runes))
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", p.Op, p.Err)
	}
	return fmt.Errorf("atomicfile: cannot %s %s: %w", what, path, err)
}
