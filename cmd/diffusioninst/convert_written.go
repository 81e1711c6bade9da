package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/diffusioninst/go/coco"
)

// written reports whether all files of a picture are there, and none is empty that cannot be.
func (w *instanceWriter) written(folder, stem string, p *coco.LabeledImage) bool {
	for _, name := range w.files(stem, p) {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Size() == 0 && w.format != "yolo" {
			return false
		}
	}
	return true
}

// files returns the names of a picture's files.
func (w *instanceWriter) files(stem string, p *coco.LabeledImage) []string {
	var out []string
	for _, name := range folderFormats[w.format].files {
		out = append(out, fmt.Sprintf(name, stem))
	}
	for i := range p.Instances {
		name := fmt.Sprintf("%s_%03d.png", stem, i)
		switch {
		case w.format == "masks":
			out = append(out, name)
		case w.format == "dsb" && p.Instances[i].Mask.Area() > 0:
			out = append(out, filepath.Join(stem, "masks", name))
		}
	}
	return out
}
