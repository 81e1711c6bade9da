package annotation

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

// greyPNG is a picture of these values, row by row.
func greyPNG(t *testing.T, width int, values ...uint8) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, width, len(values)/width))
	copy(m.Pix, values)
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	return b.Bytes()
}

func putFile(t *testing.T, text []byte, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, text, 0o666))
}

func allOf(t *testing.T, input string, o Options) (out []*coco.LabeledImage) {
	t.Helper()
	_, pictures, err := Each(input, o)
	require.NoError(t, err)
	for p, err := range pictures {
		require.NoError(t, err)
		out = append(out, p)
	}
	return out
}

// A single label map beside its picture is not a mask of the Data Science Bowl, whatever its suffix.
func TestOneLabelMapIsNoMask(t *testing.T) {
	labels := greyPNG(t, 4, 0, 1, 2, 3)
	for _, name := range []string{"a.png", "a_masks.png", "a_mask.png", "a_labels.png"} {
		folder := t.TempDir()
		putFile(t, greyPNG(t, 4, 9, 9, 9, 9), folder, "images", "a.png")
		putFile(t, labels, folder, "masks", name)
		require.False(t, isDSB(folder), name)
		if name != "a.png" { // which says nothing by its name
			all := allOf(t, folder, Options{})
			require.Len(t, all, 1, name)
			require.Len(t, all[0].Instances, 3, name)
			require.Equal(t, "images/a.png", all[0].FileName)
		}
	}
	folder := t.TempDir()
	putFile(t, greyPNG(t, 4, 9, 9, 9, 9), folder, "images", "a.png")
	putFile(t, labels, folder, "masks", "b.png")
	_, pictures, err := Each(folder, Options{Format: "dsb"})
	require.NoError(t, err)
	for _, err := range pictures {
		require.ErrorContains(t, err, "it has the numbers 1 to 3, as a label map of several objects has")
	}
}

// The map of a picture that is not at hand is not taken for the picture.
func TestLabelMapsAreNoPictures(t *testing.T) {
	folder := t.TempDir()
	putFile(t, greyPNG(t, 4, 0, 1, 2, 3), folder, "a_masks.png")
	require.Equal(t, "a.png", allOf(t, folder, Options{})[0].FileName)
}

// A PNG file may say behind its pixels that it is to be turned.
func TestSizeOfAPictureThatIsTurnedLate(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 600, 400))
	r := rand.New(rand.NewPCG(1, 1))
	for i := range m.Pix {
		m.Pix[i] = uint8(r.Uint32())
	}
	m.SetGray(0, 0, color.Gray{1})
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	require.Greater(t, b.Len(), 128<<10)
	exif := []byte("eXIfII*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00")
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(exif)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, exif...), crc32.ChecksumIEEE(exif))
	end := b.Len() - 12
	path := filepath.Join(t.TempDir(), "a.png")
	putFile(t, append(append(append([]byte{}, b.Bytes()[:end]...), chunk...), b.Bytes()[end:]...), path)
	w, h, err := pictureSize(path)
	require.NoError(t, err)
	require.Equal(t, [2]int{400, 600}, [2]int{w, h})
}

// Folders may be links, also to one another.
func TestLinkedFolders(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a", "b"} {
		putFile(t, greyPNG(t, 4, 9, 9, 9, 9), folder, "data", name+".png")
		putFile(t, greyPNG(t, 4, 0, 1, 2, 3), folder, "data", name+"_masks.png")
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink(filepath.Join(folder, "data"), link); err != nil {
		t.Skip(err)
	}
	require.Len(t, allOf(t, link, Options{}), 2)
	whole := filepath.Join(folder, "whole")
	putFile(t, nil, whole, "notes.txt")
	require.NoError(t, os.Symlink(filepath.Join(folder, "data"), filepath.Join(whole, "sub")))
	require.NoError(t, os.Symlink(whole, filepath.Join(whole, "round")))
	require.Len(t, allOf(t, whole, Options{Format: "labels"}), 2)
	for _, part := range []string{"images", "masks"} {
		putFile(t, greyPNG(t, 4, 0, 255, 255, 0), folder, "elsewhere", "c", part, part+".png")
	}
	require.NoError(t, os.Symlink(filepath.Join(folder, "elsewhere"), filepath.Join(whole, "bowl")))
	require.Len(t, allOf(t, whole, Options{Format: "dsb"}), 1)
}
