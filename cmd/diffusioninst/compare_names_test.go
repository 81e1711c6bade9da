package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

func TestTruthsByName(t *testing.T) {
	all := newTruths()
	for _, name := range []string{`a\1.png`, "b/1.png", "2.png", "C/A%203.PNG", "x/Same.png", "y/same.png"} {
		all.add(&coco.LabeledImage{FileName: name})
	}
	for file, want := range map[string]string{
		"a/1.png": `a\1.png`, "b/1.png": "b/1.png", "B/1.PNG": "b/1.png", "z/2.png": "2.png", "z/2.PNG": "2.png", "c/a 3.png": "C/A%203.PNG", "a 3.png": "C/A%203.PNG",
		"x/SAME.png": "x/Same.png", "Same.png": "x/Same.png",
	} {
		require.NotNil(t, all.of(file), file)
		require.Equal(t, want, all.of(file).FileName, file)
	}
	for _, file := range []string{"1.png", "z/1.png", "SAME.png", "4.png"} {
		require.Nil(t, all.of(file), file)
	}
}
