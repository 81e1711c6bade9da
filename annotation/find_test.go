package annotation

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/picture"
)

// Annotations find pictures of every format that package picture reads.
func TestPictureOf(t *testing.T) {
	for _, ext := range picture.Extensions() {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a.b"+ext), nil, 0o666))
		name, ok := pictureOf(dir, "a.b")
		require.True(t, ok && isPicture(name), ext)
		require.Equal(t, "a.b"+ext, name)
	}
	require.False(t, isPicture("a.txt"))
}

// The extension of an OME-TIFF file has two parts, of pictures and of label maps.
func TestOMENames(t *testing.T) {
	var tiff, png bytes.Buffer
	want := scene()
	_, err := WriteLabelTIFF(&tiff, want, 0)
	require.NoError(t, err)
	_, err = WriteLabels(&png, want)
	require.NoError(t, err)
	for labels, pictureName := range map[string]string{
		"a_masks.ome.tif": "a.ome.tif", "a_labels.OME.TIFF": "a.ome.tiff", "a_masks.tif": "a.ome.tif", "a_cp_masks.png": "a.ome.tif",
		"a_mask.ome.tif": "a.png", "masks/a.ome.tif": "images/a.tif", "masks/a.png": "images/a.ome.tif", "labels/a.ome.tif": "images/a.ome.tif",
	} {
		folder := t.TempDir()
		text := tiff.String()
		if filepath.Ext(labels) == ".png" {
			text = png.String()
		}
		write(t, filepath.Join(folder, labels), text)
		write(t, filepath.Join(folder, pictureName), "a picture")
		_, pictures, err := Each(folder, Options{})
		require.NoError(t, err)
		for p, err := range pictures {
			require.NoError(t, err)
			require.Equal(t, pictureName, p.FileName, labels)
			sameMasks(t, want, p)
		}
	}
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "a_masks.ome.tif"), tiff.String())
	for p, err := range (&Options{Images: t.TempDir()}).labels(elsewhere) {
		require.NoError(t, err)
		require.Equal(t, "a.ome.tif", p.FileName, "the picture is not at hand")
	}
}
