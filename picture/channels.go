package picture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/internal/tiff"
)

// pickChannels finds the wanted channels among those with the given names, which may be
// empty.
func pickChannels(names, wanted []string) ([]int, error) {
	var out []int
	for _, w := range wanted {
		w = strings.TrimSpace(w)
		at := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, w) && w != "" })
		if at < 0 && len(w) == 1 && len(names) >= 3 && slices.Equal(names[:3], colourNames) {
			at = strings.Index("rgb", strings.ToLower(w))
		}
		if n, err := strconv.Atoi(w); at < 0 && err == nil {
			at = n - 1
		}
		if at < 0 || at >= len(names) {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no channel %q: the file has %s", w, channelList(names))}
		}
		out = append(out, at)
	}
	return out, nil
}

// numbered gives channels without a name their number as name.
func numbered(names []string) []string {
	out := slices.Clone(names)
	for i, name := range out {
		if strings.TrimSpace(name) == "" {
			out[i] = strconv.Itoa(i + 1)
		}
	}
	return out
}

// channelList names channels in words.
func channelList(names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("one channel (%s)", numbered(names)[0])
	}
	shown := numbered(names)
	if len(shown) > 12 {
		shown = append(shown[:12:12], "…")
	}
	return fmt.Sprintf("%d channels (%s)", len(names), strings.Join(shown, ", "))
}

// tookFirst is the note of a picture whose first channel was taken unasked.
func tookFirst(names []string) string {
	return fmt.Sprintf("of %s the first was taken: choose with Options.Channels", channelList(names))
}

// tookColours is the note of a picture that has channels besides its colours.
func tookColours(more []string) string {
	if len(more) == 1 && more[0] == "alpha" {
		return "its alpha channel was left out"
	}
	return fmt.Sprintf("red, green and blue were taken, and left out %s (%s): choose with Options.Channels", plural(len(more), "channel"), strings.Join(more[:min(len(more), 12)], ", "))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

var (
	colourNames = []string{"red", "green", "blue"}
	greyNames   = []string{"grey"}
)

// selectChannels keeps the chosen channels of samples that are grey or red, green and blue.
func selectChannels(r *tiff.Raster, chosen []int) *tiff.Raster {
	if chosen == nil {
		return r
	}
	n := len(chosen)
	if n == 2 {
		n = 3 // blue stays black
	}
	out := &tiff.Raster{Width: r.Width, Height: r.Height, Samples: n}
	out.U8, out.U16, out.F64 = selected(r.U8, r.Samples, chosen, n), selected(r.U16, r.Samples, chosen, n), selected(r.F64, r.Samples, chosen, n)
	return out
}

func selected[T any](pix []T, samples int, chosen []int, n int) []T {
	if pix == nil {
		return nil
	}
	out := make([]T, len(pix)/samples*n)
	for i := range len(pix) / samples {
		for k, c := range chosen {
			out[i*n+k] = pix[i*samples+c]
		}
	}
	return out
}
