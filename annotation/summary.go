package annotation

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/nilcheck"
)

// A Summary is the line of a picture in a table of pictures.
type Summary struct {
	Picture       string
	Width, Height int     // pixels
	PixelSize     float64 // side of a pixel in µm; 0 if unknown
	Count         int     // instances that have pixels
	Area          int     // sum of their areas in pixels
}

// Summarize returns the line of a picture. pixelSize is the side of a pixel in µm, 0 if unknown.
func Summarize(p *coco.LabeledImage, pixelSize float64) Summary {
	s := Summary{Picture: p.FileName, Width: p.Width, Height: p.Height, PixelSize: pixelSize}
	for i := range p.Instances {
		if area := p.Instances[i].Mask.Area(); area > 0 {
			s.Count, s.Area = s.Count+1, s.Area+area
		}
	}
	return s
}

// WriteSummary writes lines as CSV: picture, size, side of a pixel, count, instances per million
// pixels, mean area, and density per mm² and mean area in µm² if the pixel size is known. A
// picture without instances has no mean area.
func WriteSummary(w io.Writer, lines []Summary) error {
	c := csv.NewWriter(nilcheck.Writer(w))
	c.Write([]string{"picture", "width_px", "height_px", "pixel_size_um", "count", "density_per_Mpx", "mean_area_px", "density_per_mm2", "mean_area_um2"})
	for _, s := range lines {
		count, pixels := float64(s.Count), float64(s.Width)*float64(s.Height)
		line := []string{s.Picture, strconv.Itoa(s.Width), strconv.Itoa(s.Height), "", strconv.Itoa(s.Count), "", "", "", ""}
		if pixels > 0 {
			line[5] = number(count / pixels * 1e6)
		}
		if s.Count > 0 {
			line[6] = number(float64(s.Area) / count)
		}
		if square := s.PixelSize * s.PixelSize; square > 0 {
			line[3] = number(s.PixelSize)
			if pixels > 0 {
				line[7] = number(count / (pixels * square) * 1e6)
			}
			if s.Count > 0 {
				line[8] = number(float64(s.Area) * square / count)
			}
		}
		c.Write(line)
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("annotation: summary: %w", err)
	}
	return nil
}
