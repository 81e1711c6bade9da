package diffusioninst

import (
	"errors"
	"fmt"
	"image"
	"image/draw"
	"math"

	"github.com/diffusioninst/go/internal/imagecheck"
	"github.com/diffusioninst/go/picture"
)

// Input says how a picture becomes the network's input. The zero value of a field
// means the paper's.
type Input struct {
	Short int // length of the shorter side in pixels: 800
	// Scale above 0 multiplies a picture's sides in place of Short, for a model whose
	// objects have a size in pixels, not in parts of the picture: 1 keeps the size.
	// It excludes Short.
	Scale   float64
	Longest int // greatest length of the longer side in pixels: 1333, or no limit with Scale; negative for no limit
	// Tile above 0 finds the instances of a larger picture in overlapping squares of this
	// side in pixels of the network's input, several at a time: for a model that has
	// learned from parts of pictures, or where memory is short. It needs Scale. Objects
	// larger than Overlap may be cut. Overlap is a quarter of Tile unless it is set, and
	// negative for none.
	Tile    int
	Overlap int
	Mean    [3]float64 // of red, green and blue, 0 to 255: ImageNet's
	Std     [3]float64 // of red, green and blue: ImageNet's
	BGR     bool       // the network wants blue first; Mean and Std are then in that order
	// Normalize says how samples become 0 to 255 before all else: picture.Auto, which
	// stretches pictures of more than 8 bits, unless it is set.
	Normalize picture.Normalize `json:",omitempty"`
	// Scales, if not nil, are several sizes in which the network sees a picture.
	Scales *Scales `json:",omitempty"`
}

var (
	imageNetMean = [3]float64{123.675, 116.28, 103.53}
	imageNetStd  = [3]float64{58.395, 57.12, 57.375}
)

const (
	maxScale = 16      // bounds what a picture grows to
	maxSide  = 1 << 16 // of Short and Augment.Scales: bounds the same
	minTile  = 32      // least side of a tile, in pixels of the network's input
)

func (in Input) withDefaults() Input {
	if !(in.Scale > 0) {
		if in.Short == 0 {
			in.Short = 800
		}
		if in.Longest == 0 {
			in.Longest = max(1333, in.Short)
		}
	}
	if in.Mean == [3]float64{} {
		in.Mean = imageNetMean
	}
	if in.Std == [3]float64{} {
		in.Std = imageNetStd
	}
	return in
}

func (in Input) check() error {
	switch {
	case in.Scale > 0 && in.Short != 0:
		return configError("input scale %v and short side %d: one of them at most", in.Scale, in.Short)
	case !(in.Scale <= maxScale):
		return configError("input scale %v: want above 0 to %d", in.Scale, maxScale)
	case in.Tile > 0 && (in.Tile < minTile || in.Overlap >= in.Tile):
		return configError("input tiles of %d pixels that overlap by %d: want at least %d, and an overlap below that", in.Tile, in.Overlap, minTile)
	case in.Tile > 0 && !(in.Scale > 0):
		return configError("input tiles need a Scale: parts of a picture cannot each have the same short side")
	case !(in.Scale > 0) && (in.Short < 1 || in.Short > maxSide || in.Longest >= 0 && in.Longest < in.Short):
		return configError("input sides %d (short, at most %d) and %d (longest, at least short)", in.Short, maxSide, in.Longest)
	}
	if err := in.Normalize.Check(); err != nil {
		return asConfigError(err)
	}
	if in.Scales != nil {
		scales, err := in.Scales.over(nil)
		if err == nil {
			err = in.Scales.conflict(scales)
		}
		if err == nil {
			_, err = Augment{}.looks(in, scales.Factors)
		}
		var option *OptionError
		if errors.As(err, &option) {
			return &ConfigError{"input scales: " + option.Reason, err}
		}
	}
	for i, s := range in.Std {
		if !(s > 0) || math.IsInf(s, 0) {
			return configError("input standard deviations %v: they must be positive", in.Std)
		}
		if m := in.Mean[i]; math.IsNaN(m) || math.IsInf(m, 0) {
			return configError("input means %v: they must be finite", in.Mean)
		}
	}
	return nil
}

// scaled returns in with another shorter side and the longer side's limit in
// proportion. A short of 0 leaves it as it is.
func (in Input) scaled(short int) Input {
	switch {
	case short == 0:
		return in
	case in.Longest <= 0:
	case in.Scale > 0:
		in.Longest = max(in.Longest, short)
	default:
		in.Longest = max(int(float64(in.Longest)*float64(short)/float64(in.Short)+0.5), short)
	}
	in.Short, in.Scale = short, 0
	return in
}

// size returns the size that a picture of w × h pixels is resized to.
func (in Input) size(w, h int) (width, height int) {
	if in.Scale > 0 {
		return picture.Scale(w, h, in.Scale, in.Longest)
	}
	return picture.ShortestEdge(w, h, in.Short, in.Longest)
}

// ImageError says that a picture cannot be segmented because of its size, because of the
// size in which the network would see it, or because its pixels cannot be read.
type ImageError struct {
	Width, Height int // 0 if unknown
	Reason        string
	Err           error // cause; may be nil
}

func (e *ImageError) Error() string { return "diffusioninst: " + e.detail() }

func (e *ImageError) detail() string {
	if e.Width == 0 && e.Height == 0 {
		return "picture: " + e.Reason
	}
	return fmt.Sprintf("picture of %d×%d pixels: %s", e.Width, e.Height, e.Reason)
}

func (e *ImageError) ofPicture(i int) string {
	if e.Width == 0 && e.Height == 0 {
		return fmt.Sprintf("picture %d: %s", i, e.Reason)
	}
	return fmt.Sprintf("picture %d: %d×%d pixels: %s", i, e.Width, e.Height, e.Reason)
}

// Unwrap returns the cause.
func (e *ImageError) Unwrap() error { return e.Err }

const (
	maxInputPixels   = 1 << 28       // of a view: 3 GiB before the first layer
	maxPicturePixels = math.MaxInt32 // of a picture: what a mask counts
	minInputSide     = 4             // of a picture that is made smaller, its longer side: a cell of the finest features
)

// checkViews refuses views that no memory holds, asking for which would end the process, and pictures
// that are made so small that nothing of them is left to see.
func checkViews(views []view) error {
	for _, v := range views {
		if float64(v.width)*float64(v.height) > maxInputPixels {
			return &ImageError{Width: v.size.X, Height: v.size.Y, Reason: fmt.Sprintf("the network would see it with %d×%d pixels, more than %d: make it smaller, or use tiles", v.width, v.height, maxInputPixels)}
		}
		if long := max(v.width, v.height); long < minInputSide && long < max(v.part.Dx(), v.part.Dy()) {
			return &ImageError{Width: v.size.X, Height: v.size.Y, Reason: fmt.Sprintf("the network would see it with %d×%d pixels, too few to find anything: use a larger Scale, or larger Scales", v.width, v.height)}
		}
	}
	return nil
}

// checkImage refuses pictures that cannot be read, without pixels, or with too many.
func checkImage(img image.Image) error {
	w, h, err := imagecheck.Check(img)
	reason := ""
	switch {
	case err != nil:
		reason = err.Error()
	case w < 1 || h < 1:
		reason = "it is empty"
	case w < 2 || h < 2:
		reason = "at least 2×2 pixels are needed to find anything"
	case float64(w)*float64(h) > maxPicturePixels:
		reason = fmt.Sprintf("more than %d pixels", maxPicturePixels)
	default:
		return nil
	}
	return &ImageError{w, h, reason, err}
}

// pixels reads a part of a picture, given from its upper left corner, in another size.
func pixels(img image.Image, part image.Rectangle, width, height int) (Pixels, error) {
	part = part.Add(img.Bounds().Min)
	img, err := window(img, part)
	if err != nil {
		return Pixels{}, err
	}
	return Pixels{picture.ResizeImage(img, width, height), width, height}, nil
}

// A regional picture is read from its file in parts, such as a [picture.Source].
type regional interface {
	Region(image.Rectangle) (image.Image, error)
}

// window returns a part of a picture.
func window(img image.Image, part image.Rectangle) (image.Image, error) {
	if m, ok := img.(regional); ok {
		return m.Region(part)
	}
	if part == img.Bounds() {
		return img, nil
	}
	if m, ok := img.(interface {
		SubImage(image.Rectangle) image.Image
	}); ok {
		if sub := m.SubImage(part); sub != nil && sub.Bounds() == part {
			return sub, nil
		}
	}
	out := image.NewRGBA(part)
	draw.Draw(out, part, img, part.Min, draw.Src)
	return out, nil
}
