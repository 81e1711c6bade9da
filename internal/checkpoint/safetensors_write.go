package checkpoint

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"unicode/utf8"
)

// WriteSafetensors writes tensors as a safetensors file: wide element types first,
// so that all values are aligned, otherwise in the given order. The values
// of one tensor at a time are read, and none are kept.
func WriteSafetensors(w io.Writer, tensors []Source, metadata map[string]string) error {
	sorted := append([]Source(nil), tensors...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].DType.Size() > sorted[j].DType.Size() })
	header, err := encodeHeader(sorted, metadata)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<16)
	var prefix [8]byte
	binary.LittleEndian.PutUint64(prefix[:], uint64(len(header)))
	if _, err := b.Write(append(prefix[:], header...)); err != nil {
		return fmt.Errorf("checkpoint: writing the header: %w", err)
	}
	for _, s := range sorted {
		if err := s.write(b); err != nil {
			return err
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("checkpoint: writing: %w", err)
	}
	return nil
}

// encodeHeader returns the JSON header, padded to a multiple of 8 bytes.
func encodeHeader(tensors []Source, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("checkpoint: metadata %q is not UTF-8", k)
			}
		}
		b.WriteString(`"__metadata__":`)
		if err := encodeJSON(&b, metadata); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{"__metadata__": true}
	at := int64(0)
	for _, s := range tensors {
		size, err := s.check(seen)
		if err != nil {
			return nil, err
		}
		if size > (1<<62)-at {
			return nil, fmt.Errorf("checkpoint: tensor %q does not fit a file", s.Name)
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		if err := encodeJSON(&b, s.Name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		entry := struct {
			DType   string   `json:"dtype"`
			Shape   []int64  `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{dtypes[s.DType].tag, append([]int64{}, s.Shape...), [2]int64{at, at + size}}
		if err := encodeJSON(&b, entry); err != nil {
			return nil, err
		}
		at += size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("checkpoint: a header of %d bytes is more than the format allows", b.Len())
	}
	return b.Bytes(), nil
}

func encodeJSON(b *bytes.Buffer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("checkpoint: encoding the header: %w", err)
	}
	b.Write(raw)
	return nil
}
