package picture

import (
	"bytes"
	"encoding/binary"
	"image/png"
	"strings"
)

func isICO(h []byte) bool {
	return len(h) >= 22 && h[0] == 0 && h[1] == 0 && (h[2] == 1 || h[2] == 2) && h[3] == 0 && (h[4] != 0 || h[5] != 0) && h[9] == 0 &&
		binary.LittleEndian.Uint32(h[18:]) >= 22
}

// decodeICO reads the largest picture of a Windows icon or cursor, a PNG or a bitmap, without
// its transparency.
func decodeICO(data []byte, o Options) (*decoded, error) {
	long := func(at int) int { return int(binary.LittleEndian.Uint32(data[at:])) }
	largest, at, end := 0, 0, 0
	for k := range int(binary.LittleEndian.Uint16(data[4:])) {
		entry := 6 + 16*k
		if len(data) < entry+16 {
			break
		}
		side := func(b byte) int { return (int(b)+255)%256 + 1 } // 0 is 256
		if area := side(data[entry]) * side(data[entry+1]); area > largest {
			largest, at, end = area, long(entry+12), long(entry+12)+long(entry+8)
		}
	}
	if at >= end || end > len(data) {
		return nil, &Error{Kind: ErrTruncated, Reason: "the picture of the icon ends too early"}
	}
	inner := data[at:end]
	if !strings.HasPrefix(string(inner), "\x89PNG") {
		return decodeBare(inner, o, true)
	}
	source := &seekable{ReadSeeker: bytes.NewReader(inner), size: int64(len(inner))}
	header, err := png.DecodeConfig(source)
	if err == nil {
		err = o.check(header)
	}
	if err == nil {
		err = source.believed(header, "png")
	}
	if err != nil {
		return nil, err
	}
	img, err := png.Decode(bytes.NewReader(inner))
	if err != nil {
		return nil, err
	}
	d := &decoded{Raster: rasterOf(img), bits: 8}
	if d.U8 == nil {
		d.bits = 16
	}
	return d, nil
}

// isDIB reports whether a file begins as a bitmap without the header of a file.
func isDIB(h []byte) bool {
	return len(h) >= 40 && (h[0] == 40 || h[0] == 108 || h[0] == 124) && h[1] == 0 && h[2] == 0 && h[3] == 0 && h[12] == 1 && h[13] == 0 &&
		h[14] <= 32 && h[15] == 0
}

func decodeDIB(data []byte, o Options) (*decoded, error) { return decodeBare(data, o, false) }

// decodeBare reads a bitmap without the header of a file. That of an icon has a mask below,
// which its height counts.
func decodeBare(data []byte, o Options, icon bool) (*decoded, error) {
	if !isDIB(data) {
		return nil, corrupt("a bitmap whose header is not known")
	}
	file := append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), data...)
	long := func(at int) int { return int(int32(binary.LittleEndian.Uint32(file[at:]))) }
	depth, colours := int(file[28]), long(46)
	if colours == 0 && depth <= 8 {
		colours = 1 << depth
	}
	if colours < 0 || colours > 256 {
		return nil, corrupt("a bitmap with a palette of %d colours", colours)
	}
	pixels := 14 + long(14) + 4*colours
	if compression := long(30); long(14) == 40 && (compression == 3 || compression == 6) {
		pixels += 4 * compression // masks
	}
	binary.LittleEndian.PutUint32(file[10:], uint32(pixels))
	if icon {
		binary.LittleEndian.PutUint32(file[22:], uint32(long(22)/2))
	}
	return decodeBMP(file, o)
}
