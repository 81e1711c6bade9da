package picture

import "strings"

// A foreign format is recognised by its first bytes and not read.
var foreign = []struct {
	at            int
	magic, advice string
}{
	{0, "ZISRAWFILE", "a Zeiss CZI file: export it from ZEN or with Bio-Formats as OME-TIFF, TIFF or PNG"},
	{0, "\xda\xce\xbe\x0a", "a Nikon ND2 file: export it from NIS-Elements or with Bio-Formats as TIFF"},
	{0, "\x70\x00\x00\x00", "a Leica LIF file: export it from LAS X or with Bio-Formats as TIFF"},
	{128, "DICM", "a DICOM file: export it as 16-bit PNG or TIFF, for example with dcm2img or gdcm2pnm"},
	{0, "\x00\x00\x00\x0cjP  ", "a JPEG 2000 file (or an old Nikon ND2 file): convert it to PNG or TIFF"},
	{0, "\xff\x4f\xff\x51", "a JPEG 2000 codestream: convert it to PNG or TIFF"},
	{0, "\x00\x00\x00\x0cJXL ", "a JPEG XL file: convert it to PNG or JPEG"},
	{0, "\xff\x0a", "a JPEG XL file: convert it to PNG or JPEG"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a compound file, as Olympus OIB and Zeiss ZVI are: export it from the microscope's program or with Bio-Formats as TIFF"},
	{0, "\x89HDF\r\n\x1a\n", "an HDF5 file (as Imaris IMS and ilastik write): export it as TIFF"},
	{0, "8BPS", "a Photoshop file: export it as PNG or TIFF"},
	{0, "%PDF", "a PDF document: export its pages as PNG"},
	{0, "\x76\x2f\x31\x01", "an OpenEXR file: convert it to 32-bit TIFF"},
	{0, "NRRD", "an NRRD file: export its slices as TIFF"},
	{0, "SIMPLE  =", "a FITS file: convert it to 16- or 32-bit TIFF"},
	{344, "n+1\x00", "a NIfTI file: export its slices as TIFF"},
	{0, "\x93NUMPY", "a NumPy array: save it as TIFF or PNG"},
	{0, "FUJIFILMCCD-RAW", "a camera's raw picture: develop it to TIFF or JPEG"},
	{0, "\x1aE\xdf\xa3", "a Matroska or WebM video: extract its frames, for example with ffmpeg"},
	{0, "PK\x03\x04", "a ZIP archive: unpack it"},
	{0, "\x1f\x8b", "a gzip archive: unpack it"},
	{0, "<svg", "an SVG drawing: export it as PNG"},
	{0, "II\x2a\x00\x10\x00\x00\x00CR", "a Canon raw picture: develop it to TIFF or JPEG"},
	{0, "IIRO", "an Olympus raw picture: develop it to TIFF or JPEG"},
	{0, "DDS ", "a DirectDraw surface: convert it to PNG"},
	{0, "\x59\xa6\x6a\x95", "a Sun raster picture: convert it to PNG"},
	{0, "\xb1\x68\xde\x3a", "a DCX file of several PCX pictures: convert them to PNG"},
	{0, "icns", "an icon of macOS: save the picture in it as PNG"},
	{0, "gimp xcf", "a GIMP project: export it as PNG"},
	{0, "%!PS", "a PostScript document: export its pages as PNG"},
	{0, "\xc5\xd0\xd3\xc6", "a PostScript document: export its pages as PNG"},
	{0, "AT&TFORM", "a DjVu document: export its pages as PNG"},
	{0, "\xd7\xcd\xc6\x9a", "a Windows metafile: export it as PNG"},
	{0, "Image type: ", "an IFUNC picture (IM): convert it to PNG"},
	{0, "#define ", "an X bitmap (XBM) or a program: convert it to PNG"},
	{0, "BLP1", "a Blizzard texture (BLP): convert it to PNG"},
	{0, "BLP2", "a Blizzard texture (BLP): convert it to PNG"},
	{0, "DanM", "a Microsoft Paint picture (MSP): convert it to PNG"},
	{0, "LinS", "a Microsoft Paint picture (MSP): convert it to PNG"},
	{0, "BPG\xfb", "a BPG picture: convert it to PNG"},
	{0, "II\xbc\x01", "a JPEG XR picture: convert it to PNG or TIFF"},
	{0, "/* XPM */", "an XPM picture: convert it to PNG"},
	{0, "OLYMPUSRAWFORMAT", "an Olympus OIR file: export it from the microscope's program or with Bio-Formats as TIFF"},
	{208, "MAP ", "an MRC file: export its slices as TIFF"},
	{0, "ObjectType = Image", "a MetaImage file: export its slices as TIFF"},
	{0, "IIU\x00", "a Panasonic raw picture: develop it to TIFF or JPEG"},
}

// brands are the kinds of ISO media files, by the text behind "ftyp".
var brands = map[string]string{
	"heic": "a HEIC picture", "heix": "a HEIC picture", "hevc": "a HEIC sequence", "mif1": "a HEIF picture", "msf1": "a HEIF sequence",
	"heim": "a HEIC picture", "heis": "a HEIC picture", "avif": "an AVIF picture", "avis": "an AVIF sequence", "crx ": "a Canon raw picture",
}

// foreignFormat says what a file is that begins with header, and what to do with it: empty if
// it is of no foreign format.
func foreignFormat(header []byte) string {
	text := string(header)
	for _, f := range foreign {
		if len(text) >= f.at && strings.HasPrefix(text[f.at:], f.magic) {
			return f.advice
		}
	}
	if len(text) >= 12 && text[4:8] == "ftyp" {
		if name, ok := brands[text[8:12]]; ok {
			return name + ": convert it to PNG or JPEG"
		}
		return "a video: extract its frames, for example with ffmpeg"
	}
	if len(text) >= 12 && text[:4] == "RIFF" && text[8:12] == "AVI " {
		return "a video: extract its frames, for example with ffmpeg"
	}
	return ""
}

// slideScanner recognises whole slides, which are TIFF files, by the description of the first
// page.
func slideScanner(description string) string {
	const advice = " slide: export a region as TIFF or PNG, for example with QuPath or OpenSlide; one of its pages is read with Options.Page where its compression is known"
	switch {
	case strings.HasPrefix(description, "Aperio"):
		return "an Aperio SVS" + advice
	case strings.Contains(description[:min(len(description), 400)], "<scn"):
		return "a Leica SCN" + advice
	}
	return ""
}
