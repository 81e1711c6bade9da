package annotation

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/internal/tiff"
)

// WriteLabelTIFF writes a picture's instances as a TIFF file whose value is the label of the
// instance there (see LabeledImage.Labels), and 0 for background: 16 bits per pixel, or 32 if
// labels are larger than 65535. The side of a pixel in µm, unless it is 0, and the range of
// the labels are in the file as OME-TIFF and as ImageJ have them. Where instances overlap the
// one of the highest score is seen; covered is the number of others, which lose pixels.
func WriteLabelTIFF(w io.Writer, p *coco.LabeledImage, pixelSize float64) (covered int, err error) {
	if err := present(p); err != nil {
		return 0, err
	}
	labels := p.Labels()
	places, covered, err := paintPlaces(p)
	if err != nil {
		return 0, err
	}
	most := uint32(0)
	if len(labels) > 0 {
		most = slices.Max(labels)
	}
	g := &tiff.Grey{Width: p.Width, Height: p.Height, Bits: 16, Row: func(dst []uint32, y int) {
		for x, place := range places[y*p.Width:][:p.Width] {
			dst[x] = 0
			if place != 0 {
				dst[x] = labels[place-1]
			}
		}
	}}
	if most > math.MaxUint16 {
		g.Bits = 32
	}
	physical, unit := "", ""
	if pixelSize > 0 {
		g.PixelsPerUnit = 1 / pixelSize
		physical = fmt.Sprintf(` PhysicalSizeX="%[1]s" PhysicalSizeY="%[1]s"`, number(pixelSize))
		unit = "unit=micron\n"
	}
	var name strings.Builder
	if err := xml.EscapeText(&name, []byte(p.FileName)); err != nil {
		return 0, fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	g.Descriptions = []string{
		`<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" ` +
			`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 ` +
			`http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd"><Image ID="Image:0" Name="` + name.String() + `"><Pixels ID="Pixels:0" ` +
			`DimensionOrder="XYCZT" Type="uint` + strconv.Itoa(g.Bits) + `" SizeX="` + strconv.Itoa(p.Width) + `" SizeY="` + strconv.Itoa(p.Height) +
			`" SizeC="1" SizeZ="1" SizeT="1" BigEndian="false"` + physical + `><Channel ID="Channel:0:0" Name="labels" SamplesPerPixel="1"/>` +
			`<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>`,
		"ImageJ=1.54\nimages=1\n" + unit + "min=0.0\nmax=" + strconv.FormatUint(uint64(max(most, 1)), 10) + "\n",
	}
	if err := tiff.WriteGrey(nilcheck.Writer(w), g); err != nil {
		return 0, fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	return covered, nil
}
