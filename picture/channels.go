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
		if at < 0 && isRGB(names) {
			at = strings.Index("rgb", strings.ToLower(w))
			if len(w) != 1 {
				at = -1
			}
		}
		if n, err := strconv.Atoi(w); at < 0 && err == nil {
			at = n - 1
		}
		if at < 0 || at >= len(names) {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no channel %q: there are %s", w, channelList(names))}
		}
		out = append(out, at)
	}
	return out, nil
}

func isRGB(names []string) bool { return slices.Equal(names, colourNames) }

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
		return "one channel"
	}
	shown := numbered(names)
	if len(shown) > 12 {
		shown = append(shown[:12:12], "…")
	}
	return fmt.Sprintf("%d channels (%s)", len(names), strings.Join(shown, ", "))
}

// tookFirst is the note of a picture whose first channel was taken unasked.
func tookFirst(names []string) string {
	return fmt.Sprintf("of %s the first was taken: choose with Channels (--channel)", channelList(names))
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
