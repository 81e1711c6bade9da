package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"image"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

var drawings = map[string]func(Options) (*image.RGBA, []Object){
	"fluorescence": Nuclei,
	"histology": func(o Options) (*image.RGBA, []Object) {
		o.Style = Histology
		return Nuclei(o)
	},
	"shapes": Shapes,
}

func TestMasks(t *testing.T) {
	for name, draw := range drawings {
		for _, o := range []Options{{}, {Seed: 9, Count: 120}, {Width: 100, Height: 70, Count: 15, Seed: 4}, {Width: 65, Height: 200, Radius: 30, Count: 5}} {
			t.Run(fmt.Sprint(name, o), func(t *testing.T) {
				img, objects := draw(o)
				full := o.withDefaults()
				require.Equal(t, image.Rect(0, 0, full.Width, full.Height), img.Rect)
				require.True(t, img.Opaque())
				require.NotEmpty(t, objects)
				require.LessOrEqual(t, len(objects), full.Count)
				taken := mask.NewBitmap(full.Width, full.Height)
				area := 0
				for _, object := range objects {
					require.Equal(t, [2]int{full.Width, full.Height}, [2]int{object.Mask.Width, object.Mask.Height})
					require.Equal(t, object.Mask.Box(), object.Box)
					require.GreaterOrEqual(t, object.Mask.Area(), leastArea)
					require.Less(t, object.Class, len(ShapeNames))
					area += object.Mask.Area()
					for y := range full.Height {
						for x := range full.Width {
							if object.Mask.Get(x, y) {
								require.False(t, taken.Get(x, y), "two objects own pixel (%d, %d)", x, y)
								taken.Set(x, y, true)
							}
						}
					}
				}
				require.Equal(t, area, taken.Area())
			})
		}
	}
}

// What is drawn is what the masks say: nuclei are brighter than the background
// around them, stained ones darker, and touching ones are common.
func TestNucleiShow(t *testing.T) {
	for style, sign := range map[Style]float64{Fluorescence: 1, Histology: -1} {
		img, objects := Nuclei(Options{Seed: 2, Style: style})
		touching := 0
		for _, o := range objects {
			inside, outside, n, m, touches := 0.0, 0.0, 0, 0, false
			for y := max(0, o.Box.Min.Y-4); y < min(img.Rect.Dy(), o.Box.Max.Y+4); y++ {
				for x := max(0, o.Box.Min.X-4); x < min(img.Rect.Dx(), o.Box.Max.X+4); x++ {
					red := float64(img.Pix[img.PixOffset(x, y)])
					owner := ownerOf(objects, x, y)
					switch {
					case owner < 0:
						outside, m = outside+red, m+1
					case objects[owner].Mask == o.Mask:
						inside, n = inside+red, n+1
						for _, d := range [][2]int{{1, 0}, {0, 1}, {-1, 0}, {0, -1}} {
							k := ownerOf(objects, x+d[0], y+d[1])
							touches = touches || k >= 0 && k != owner
						}
					}
				}
			}
			require.Greater(t, sign*(inside/float64(n)-outside/float64(m)), 8.0)
			if touches {
				touching++
			}
		}
		require.Greater(t, touching, len(objects)/3)
	}
}

func ownerOf(objects []Object, x, y int) int {
	for i, o := range objects {
		if image.Pt(x, y).In(o.Box) && o.Mask.Get(x, y) {
			return i
		}
	}
	return -1
}

// The same options give the same pixels: now, and as recorded here.
func TestDeterministic(t *testing.T) {
	for name, want := range map[string]uint64{"fluorescence": 0x99e407bbbe32b45a, "histology": 0xdf0531dffc7441e9, "shapes": 0x4e4acf3cefcf796d} {
		t.Run(name, func(t *testing.T) {
			sum := func(seed uint64) uint64 {
				img, objects := drawings[name](Options{Width: 160, Height: 120, Count: 20, Seed: seed})
				h := fnv.New64a()
				h.Write(img.Pix)
				for _, o := range objects {
					h.Write([]byte(o.Mask.RLE().String()))
				}
				return h.Sum64()
			}
			require.Equal(t, want, sum(1), "%#x", sum(1))
			require.NotEqual(t, sum(1), sum(2))
		})
	}
}

// No fused multiply-add in the code of any platform that has one: with it the last
// bit of a picture would depend on the machine.
func TestNoFusedArithmetic(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the package for other platforms")
	}
	fused := regexp.MustCompile(`(?m)^.*\s(FN?M(ADD|SUB)[A-Z]*|VFN?M[AS][A-Z]*)\s.*$`)
	platforms := []string{"arm64"}
	if os.Getenv("CI") == "true" { // the others compile the standard library for half a minute
		platforms = append(platforms, "ppc64le", "riscv64", "s390x")
	}
	for _, arch := range platforms {
		t.Run(arch, func(t *testing.T) {
			build := proctest.Command(t, "go", "build", "-gcflags=-S", "-o", os.DevNull, ".")
			build.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
			listing := proctest.Run(t, build)
			require.Contains(t, string(listing), "STEXT")
			require.Empty(t, fused.FindAll(listing, -1))
		})
	}
}

// The committed demonstration is what the generator makes (go generate). The PNG is
// compared by its pixels, since compressors change.
func TestDemoIsCurrent(t *testing.T) {
	made, dataset, err := Demo()
	require.NoError(t, err)
	folder := filepath.Join("..", "..", "examples", "segment_image")
	committed, err := picture.Open(filepath.Join(folder, DemoName), picture.Options{})
	require.NoError(t, err)
	fresh, err := picture.Decode(bytes.NewReader(made), picture.Options{})
	require.NoError(t, err)
	require.Equal(t, fresh.Bounds(), committed.Bounds())
	require.True(t, bytes.Equal(picture.RGB(fresh), picture.RGB(committed)), "nuclei.png is not what the generator makes; run go generate")
	text, err := os.ReadFile(filepath.Join(folder, "nuclei.json"))
	require.NoError(t, err)
	require.Equal(t, string(dataset), string(text))
	require.Less(t, len(made), 400_000)
}

func TestDemoDataset(t *testing.T) {
	_, dataset, err := Demo()
	require.NoError(t, err)
	var read struct {
		Annotations []struct {
			Area         int
			BBox         [4]int
			Segmentation struct {
				Size   [2]int
				Counts string
			}
		}
	}
	require.NoError(t, json.Unmarshal(dataset, &read))
	require.Len(t, read.Annotations, 46)
	for _, a := range read.Annotations {
		rle, err := mask.ParseRLE(a.Segmentation.Size[1], a.Segmentation.Size[0], a.Segmentation.Counts)
		require.NoError(t, err)
		require.Equal(t, a.Area, rle.Area())
		box := rle.Bitmap().Box()
		require.Equal(t, a.BBox, [4]int{box.Min.X, box.Min.Y, box.Dx(), box.Dy()})
	}
}

func TestDecay(t *testing.T) {
	require.Equal(t, 1.0, decay(0))
	require.InDelta(t, 0.3679, decay(1), 0.025)
}

func ExampleNuclei() {
	img, objects := Nuclei(Options{Width: 256, Height: 192, Count: 12, Seed: 1})
	fmt.Println(img.Bounds(), len(objects), "nuclei")
	fmt.Println("the first one covers", objects[0].Mask.Area(), "pixels in", objects[0].Box)
	// Output:
	// (0,0)-(256,192) 12 nuclei
	// the first one covers 1260 pixels in (123,125)-(167,164)
}

func ExampleShapes() {
	_, objects := Shapes(Options{Width: 256, Height: 192, Count: 4, Seed: 1})
	for _, o := range objects {
		fmt.Println(ShapeNames[o.Class], o.Box)
	}
	// Output:
	// disc (145,140)-(237,192)
	// triangle (108,41)-(188,123)
	// rectangle (0,62)-(52,129)
	// rectangle (105,35)-(195,118)
}
