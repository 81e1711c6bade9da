package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"

	"github.com/diffusioninst/go/coco"
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns a short text that is the same for data sets of the same classes, pictures and objects in the same order: names,
// sizes, ids, boxes and masks as the annotations have them. Where the pictures lie, and their pixels, are not part of it. It
// finds files that differ by mistake, not by intent.
func (c *COCO) Checksum() string {
	sum := sha256.New()
	var record []byte // of a picture
	for _, name := range c.classes {
		record = appendText(record, name)
	}
	sum.Write(record)
	for i, objects := range c.objects {
		m := &c.data.Images[i]
		record = appendText(appendText(appendNumbers(record[:0], m.ID, int64(m.Width), int64(m.Height), int64(len(objects))), m.FileName), m.COCOURL)
		for _, place := range objects {
			record = c.appendObject(record, &c.data.Annotations[place])
		}
		// A CRC keeps up with the gigabytes of a large set, and SHA-256 joins those of all pictures.
		sum.Write(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(record, castagnoli)))
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// appendObject appends what is learnt from an annotation.
func (c *COCO) appendObject(b []byte, a *coco.Annotation) []byte {
	s := &a.Segmentation
	b = appendNumbers(b, a.ID, int64(c.class[a.CategoryID]), int64(s.Height), int64(s.Width), int64(len(s.Polygons)), int64(len(s.Counts)))
	b = appendText(b, s.Compressed)
	if a.HasBBox {
		b = appendFloats(b, a.BBox[:])
	}
	for _, polygon := range s.Polygons {
		b = appendFloats(appendNumbers(b, int64(len(polygon))), polygon)
	}
	for _, n := range s.Counts {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(appendNumbers(b, int64(len(text))), text...)
}

func appendNumbers(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func appendFloats(b []byte, numbers []float64) []byte {
	for _, v := range numbers {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}
