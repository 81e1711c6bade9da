package checkpoint

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// Parts of a zip archive (PKWARE's APPNOTE, 4.3.7 and 4.5).
const (
	localHeader = 30     // bytes before an entry's name
	extraHeader = 4      // bytes of an extra field's tag and size
	paddingTag  = 0x4246 // of PyTorch's padding, "FB"
	alignment   = 64     // of the values in the file, as PyTorch wants them
)

// archiveName is the folder of the entries; PyTorch takes any.
const archiveName = "archive/"

// WritePyTorch writes tensors in the form of torch.save: a dictionary with the state
// dictionary under "model", in the given order, and metadata as strings beside it.
// The values of one tensor at a time
// are held in memory. torch.load reads the file, also with weights_only.
func WritePyTorch(w io.Writer, tensors []Source, metadata map[string]string) error {
	p, err := pickleState(tensors, metadata)
	if err != nil {
		return err
	}
	count := &offsetWriter{w: w}
	a := torchArchive{zip.NewWriter(count), count}
	if err := a.add("data.pkl", p); err != nil {
		return err
	}
	if err := a.add("byteorder", []byte("little")); err != nil {
		return err
	}
	var b bytes.Buffer
	for i, s := range tensors {
		b.Reset()
		if err := s.write(&b); err != nil {
			return err
		}
		if err := a.add("data/"+strconv.Itoa(i), b.Bytes()); err != nil {
			return err
		}
	}
	if err := a.add("version", []byte("3\n")); err != nil {
		return err
	}
	if err := a.zip.Close(); err != nil {
		return fmt.Errorf("checkpoint: writing: %w", err)
	}
	return nil
}

// torchArchive writes the entries of a zip archive as PyTorch does: stored, their
// sizes before them, their values aligned.
type torchArchive struct {
	zip *zip.Writer
	at  *offsetWriter
}

func (a torchArchive) add(name string, data []byte) error {
	name = archiveName + name
	if err := a.zip.Flush(); err != nil {
		return fmt.Errorf("checkpoint: writing: %w", err)
	}
	start := a.at.n + localHeader + int64(len(name)) + extraHeader
	padding := int(-start & (alignment - 1))
	extra := []byte{paddingTag & 0xff, paddingTag >> 8, byte(padding), 0}
	e, err := a.zip.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, Extra: append(extra, make([]byte, padding)...), CRC32: crc32.ChecksumIEEE(data),
		CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data)),
	})
	if err == nil {
		_, err = e.Write(data)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: writing: %w", err)
	}
	return nil
}

// offsetWriter knows how many bytes went through it.
type offsetWriter struct {
	w io.Writer
	n int64
}

func (o *offsetWriter) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.n += int64(n)
	return n, err
}

// checkPyTorch refuses what a file of PyTorch's cannot hold.
func checkPyTorch(tensors []Source, metadata map[string]string) error {
	taken := map[string]bool{}
	for _, s := range tensors {
		size, err := s.check(taken)
		if err != nil {
			return err
		}
		if size >= math.MaxUint32 {
			return fmt.Errorf("checkpoint: tensor %q is too large for this form: use safetensors", s.Name)
		}
	}
	for k, v := range metadata {
		switch {
		case k == modelKeys[0]:
			return errors.New("checkpoint: the metadata key " + k + " is the model's")
		case !utf8.ValidString(k) || !utf8.ValidString(v):
			return fmt.Errorf("checkpoint: metadata %q is not UTF-8", k)
		}
	}
	return nil
}
