package tiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

var (
	// ErrTruncated says that the file ends before something that it refers to.
	ErrTruncated = errors.New("the file ends too early")
	// ErrUnsupported says that a file uses a part of the format that this package does not read.
	ErrUnsupported = errors.New("not supported")
)

// A File is an open TIFF file.
type File struct {
	r     io.ReaderAt
	size  int64
	order binary.ByteOrder
	big   bool
	pages []directory
	end   uint64 // behind the last directory and its values

	broken error // of the chain of directories behind the last of pages
}

// directory is an IFD, the description of one page.
type directory []entry

// entry is a tag with the type, number and place of its values.
type entry struct {
	tag, kind uint16
	count     uint64
	at        int64 // of the values in the file
}

// Is reports whether a file that begins with header is a TIFF or BigTIFF.
func Is(header []byte) bool {
	if len(header) < 4 {
		return false
	}
	switch string(header[:4]) {
	case "II*\x00", "MM\x00*", "II+\x00", "MM\x00+":
		return true
	}
	return false
}

// Open reads the directories of a file of a size. The file must stay open while pages are read.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	header, err := f.bytes(0, min(16, uint64(size)))
	if err != nil {
		return nil, err
	}
	if !Is(header) {
		return nil, errors.New("not a TIFF file")
	}
	f.order = binary.LittleEndian
	if header[0] == 'M' {
		f.order = binary.BigEndian
	}
	f.big = f.order.Uint16(header[2:]) == 43
	if len(header) < 8 || f.big && len(header) < 16 {
		return nil, ErrTruncated
	}
	at := uint64(f.order.Uint32(header[4:]))
	if f.big {
		if n := f.order.Uint16(header[4:]); n != 8 {
			return nil, fmt.Errorf("BigTIFF with offsets of %d bytes: %w", n, ErrUnsupported)
		}
		at = f.order.Uint64(header[8:])
	}
	return f, f.chain(at)
}

// Broken returns what is wrong with the chain of pages behind the last one that can be read,
// or nil.
func (f *File) Broken() error { return f.broken }

// chain reads the directories from the one at an offset on. A chain that is broken after
// its first page is read as far as it goes.
func (f *File) chain(at uint64) error {
	seen := map[uint64]bool{}
	room := f.size // directories do not overlap
	for at != 0 {
		if seen[at] {
			f.broken = errors.New("it leads back to an earlier page")
			break
		}
		seen[at] = true
		dir, next, err := f.directory(at, &room)
		if err != nil {
			if len(f.pages) > 0 {
				f.broken = err
				return nil
			}
			return err
		}
		f.pages = append(f.pages, dir)
		at = next
	}
	if len(f.pages) == 0 {
		return errors.New("no pages")
	}
	return nil
}

func (f *File) directory(at uint64, room *int64) (directory, uint64, error) {
	head, width, tail := uint64(2), uint64(12), uint64(4)
	if f.big {
		head, width, tail = 8, 20, 8
	}
	b, err := f.bytes(at, head)
	if err != nil {
		return nil, 0, err
	}
	n := uint64(f.order.Uint16(b))
	if f.big {
		n = f.order.Uint64(b)
	}
	if n > math.MaxUint16 {
		return nil, 0, fmt.Errorf("a directory of %d tags", n)
	}
	if n == 0 {
		return nil, 0, errors.New("a directory without tags")
	}
	if *room -= int64(head + n*width); *room < 0 {
		return nil, 0, errors.New("directories overlap")
	}
	b, err = f.bytes(at+head, n*width)
	if err != nil {
		return nil, 0, err
	}
	dir := make(directory, n)
	for i := range dir {
		e := b[uint64(i)*width:][:width]
		dir[i] = entry{tag: f.order.Uint16(e), kind: f.order.Uint16(e[2:])}
		if f.big {
			dir[i].count = f.order.Uint64(e[4:])
		} else {
			dir[i].count = uint64(f.order.Uint32(e[4:]))
		}
		place := width - tail // of the values, or of their offset
		dir[i].at = int64(at + head + uint64(i)*width + place)
		if size := typeSize(dir[i].kind); size > 0 && dir[i].count > tail/size {
			if f.big {
				dir[i].at = int64(f.order.Uint64(e[place:]))
			} else {
				dir[i].at = int64(f.order.Uint32(e[place:]))
			}
			if dir[i].count <= uint64(f.size) {
				f.reach(uint64(dir[i].at), dir[i].count*size)
			}
		}
	}
	// A file may end right after the entries of its last directory.
	f.reach(at+head+n*width, tail)
	b, err = f.bytes(at+head+n*width, tail)
	switch {
	case err != nil:
		return dir, 0, nil
	case f.big:
		return dir, f.order.Uint64(b), nil
	}
	return dir, uint64(f.order.Uint32(b)), nil
}

// bytes reads n bytes at an offset.
func (f *File) bytes(at, n uint64) ([]byte, error) {
	if at > uint64(f.size) || n > uint64(f.size)-at {
		return nil, ErrTruncated
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(at)); err != nil && !(errors.Is(err, io.EOF) && n == 0) {
		if errors.Is(err, io.EOF) {
			return nil, ErrTruncated
		}
		return nil, err
	}
	return b, nil
}
