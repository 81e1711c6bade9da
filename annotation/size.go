package annotation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/picture"
)

// compareSizes is compareSize for the images of a data set file. Other forms are compared as they are read.
func (o *Options) compareSizes(set *Set) {
	if o.Sizes == nil || set.Format != "coco" {
		return
	}
	for i := range set.Data.Images {
		o.compareSize(&set.Data.Images[i], set.Folder)
	}
}

// compareSize tells o.Sizes if the picture of an image, which may not be at hand, has another size.
func (o *Options) compareSize(m *coco.Image, folder string) {
	at, err := m.Find(folder)
	if err != nil || m.Width < 1 || m.Height < 1 {
		return
	}
	if w, h, err := pictureSize(at); err == nil && (w != m.Width || h != m.Height) {
		o.Sizes(fmt.Errorf("%s: the picture has %d×%d pixels, by its annotations %d×%d", at, w, h, m.Width, m.Height))
	}
}

// sizeOf returns the size of an image's picture in a folder.
func sizeOf(m *coco.Image, folder string) (width, height int, err error) {
	at, err := m.Find(folder)
	if err != nil {
		return 0, 0, err
	}
	return pictureSize(at)
}

// pictureSize returns the size of a picture as picture.Open gives it, from its first bytes if
// they say that it is not to be turned.
func pictureSize(path string) (width, height int, err error) {
	if f, err := regular.Open(path); err == nil {
		defer f.Close()
		head := make([]byte, 128<<10)
		n, _ := io.ReadFull(f, head)
		head = head[:n]
		exif := bytes.Contains(head, []byte("Exif\x00")) || bytes.Contains(head, []byte("eXIf"))
		c, format, err := image.DecodeConfig(bytes.NewReader(head))
		if format == "png" && !exif && n == cap(head) {
			exif = hasChunk(f, "eXIf") // which may lie behind the pixels
		}
		if err == nil && !exif && (format == "png" || format == "jpeg" || format == "bmp") && c.Width > 0 && c.Height > 0 {
			return c.Width, c.Height, nil
		}
	}
	if p, err := picture.OpenSource(path, picture.Options{Page: 1}); err == nil { // a TIFF file
		defer p.Close()
		if p.Pages == 1 {
			size := p.Bounds().Size()
			return size.X, size.Y, nil
		}
	}
	img, err := picture.Open(path, picture.Options{})
	if errors.Is(err, picture.ErrChoice) { // who reads the picture chooses: pages are mostly alike
		img, err = picture.Open(path, picture.Options{Page: 1})
	}
	if err != nil {
		return 0, 0, err
	}
	size := img.Bounds().Size()
	return size.X, size.Y, nil
}

// hasChunk reports whether a PNG file has a chunk of a kind. It reads the chunks' heads alone.
func hasChunk(f io.ReadSeeker, kind string) bool {
	const signature, head, checksum = 8, 8, 4
	if _, err := f.Seek(signature, io.SeekStart); err != nil {
		return false
	}
	for {
		var h [head]byte
		if _, err := io.ReadFull(f, h[:]); err != nil {
			return false
		}
		if string(h[4:]) == kind {
			return true
		}
		if _, err := f.Seek(int64(binary.BigEndian.Uint32(h[:4]))+checksum, io.SeekCurrent); err != nil {
			return false
		}
	}
}
