package checkpoint

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Format is a kind of checkpoint file.
type Format uint8

// The formats that are read.
const (
	PyTorchZip    Format = iota + 1 // torch.save since PyTorch 1.6: a zip archive
	PyTorchLegacy                   // torch.save before: pickles followed by raw storages
	Pickle                          // Detectron2's model zoo: a pickled dictionary of NumPy arrays or tensors
	Safetensors                     // a JSON header followed by the values
)

// String returns a name for messages.
func (f Format) String() string {
	switch f {
	case PyTorchZip:
		return "PyTorch zip"
	case PyTorchLegacy:
		return "PyTorch legacy"
	case Pickle:
		return "pickle"
	case Safetensors:
		return "safetensors"
	}
	return "unknown format"
}

// container says which reader takes a file.
type container uint8

const (
	containerUnknown container = iota
	containerZip
	containerPickle
	containerSafetensors
)

// sniff looks at the first bytes of a file, at most 512, and at the last one.
func sniff(head []byte, last byte) container {
	brace := len(head) > 8 && head[8] == '{'
	switch {
	// First, because a header of 128 bytes begins like a pickle of protocol 0.
	case brace && binary.LittleEndian.Uint64(head) <= maxHeader:
		return containerSafetensors
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return containerZip
	case len(head) > 1 && head[0] == opProto && head[1] <= maxProtocol:
		return containerPickle
	case brace:
		return containerSafetensors
	case last == opStop && oldPickle.Match(head), oldLegacy.Match(head):
		return containerPickle
	}
	return containerUnknown
}

// oldPickle is how pickles of protocols 0 and 1 begin, which have no signature: with a
// dictionary, a list, or an object of a class.
var oldPickle = regexp.MustCompile(`^(\((d|l|i[A-Za-z_]|c[A-Za-z_]|p\d+\n)|[}\]][.(pqr]|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n)`)

// oldLegacy is how PyTorch's older form begins in protocols 0 and 1. It ends with values.
var oldLegacy = regexp.MustCompile(`^L119547037146038801333356L?\n\.`)

var signatures = []struct {
	at    int
	magic string
	what  string
}{
	{0, "\x89PNG\r\n\x1a\n", "a PNG picture"},
	{0, "\xff\xd8\xff", "a JPEG picture"},
	{0, "GIF8", "a GIF picture"},
	{0, "RIFF", "a RIFF file (a WebP picture or a sound)"},
	{0, "BM", "a BMP picture"},
	{0, "%PDF", "a PDF document"},
	{0, "\x1f\x8b", "a gzip archive; unpack it first"},
	{0, "BZh", "a bzip2 archive; unpack it first"},
	{0, "\xfd7zXZ\x00", "an xz archive; unpack it first"},
	{0, "\x28\xb5\x2f\xfd", "a Zstandard archive; unpack it first"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"},
	{0, "PK\x05\x06", "an empty zip archive"},
	{0, "\x89HDF\r\n", "an HDF5 file (Keras?)"},
	{0, "\x93NUMPY", "a single NumPy array"},
	{0, "GGUF", "a GGUF file"},
	{0, "\x7fELF", "a program"},
	{0, "MZ", "a Windows program"},
	{257, "ustar", "a tar archive (PyTorch 0.1 wrote such checkpoints: load and save it with a newer PyTorch)"},
}

// describe says what a file that is not a checkpoint looks like.
func describe(head []byte, size int64) string {
	if size == 0 {
		return "it is empty"
	}
	for _, s := range signatures {
		if len(head) > s.at && bytes.HasPrefix(head[s.at:], []byte(s.magic)) {
			return "it looks like " + s.what
		}
	}
	if !isText(head) {
		return "its content is not of any known kind"
	}
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(string(head), "\ufeff")))
	switch {
	case strings.HasPrefix(text, "version https://git-lfs"):
		return "it is a Git LFS pointer: fetch the file itself with git lfs pull"
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return "it is a web page: probably the download failed or needs a login"
	case strings.HasPrefix(text, "<"):
		return "it looks like XML"
	case strings.HasPrefix(text, "{") && strings.Contains(text, `"weight_map"`):
		return "it lists the files of a checkpoint in several parts (shards): merge them into one safetensors file"
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return "it looks like JSON"
	}
	return "it looks like text"
}

// isText reports whether head is UTF-8 without control characters; its last
// character may be cut.
func isText(head []byte) bool {
	whole := head
	for cut := 1; cut < utf8.UTFMax && !utf8.Valid(whole) && cut < len(head); cut++ {
		whole = head[:len(head)-cut]
	}
	for _, c := range whole {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' {
			return false
		}
	}
	return utf8.Valid(whole)
}
