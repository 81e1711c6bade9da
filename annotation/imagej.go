package annotation

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/mask"
)

// roiSuffixes end the names of files with the regions of a picture.
var roiSuffixes = []string{"_rois", "-rois", "_roiset", "-roiset", "_roi", "-roi"}

// imagej reads regions of interest of ImageJ: ZIP files with the regions of one picture, and single
// .roi files. Files of the same picture are read together.
func (o *Options) imagej(input string) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		folder := root(input)
		names, err := files(input, ".zip", ".roi")
		if err != nil {
			yield(nil, fmt.Errorf("annotation: %w", err))
			return
		}
		// Single regions of a picture are told by its name, or that of their folder.
		groups, order := map[string][]string{}, []string{}
		for _, name := range names {
			key := name
			if strings.EqualFold(path.Ext(name), ".roi") {
				if _, own := o.pictureBeside(folder, name, roiSuffixes); !own && path.Dir(name) != "." {
					key = path.Dir(name) + ".roi"
				}
			}
			if groups[key] == nil {
				order = append(order, key)
			}
			groups[key] = append(groups[key], name)
		}
		for _, key := range order {
			p, err := o.roiFiles(folder, key, groups[key])
			if err = o.problem(filepath.Join(folder, filepath.FromSlash(key)), err); err != nil {
				yield(nil, err)
				return
			}
			if p != nil && !yield(p, nil) {
				return
			}
		}
	}
}

// roiFiles reads the regions of a picture.
func (o *Options) roiFiles(folder, key string, names []string) (*coco.LabeledImage, error) {
	var p *coco.LabeledImage
	var problems coco.Problems
	planes := map[[2]int]bool{}
	seen := 0
	for _, name := range names {
		at := filepath.Join(folder, filepath.FromSlash(name))
		err := eachROI(at, func(comment string) (err error) {
			if p == nil {
				p, err = o.pictureOfRegions(folder, key, roiSuffixes, comment)
			}
			return err
		}, func(entry string, data []byte) error {
			plane, err := addROI(p, entry, data)
			if err == nil {
				planes[plane] = true
			} else {
				problems = append(problems, coco.Problem{Record: "object", Index: seen, Key: entry, Message: err.Error()})
			}
			seen++
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	o.warnPlanes(key, len(planes))
	if len(problems) > 0 {
		return p, problems
	}
	return p, nil
}

// warnPlanes says that the objects of a file lie in several planes.
func (o *Options) warnPlanes(name string, planes int) {
	if planes > 1 {
		o.warn("%s: its objects lie in %d planes (slices or times) of a stack, and are read as the objects of one picture", name, planes)
	}
}

// eachROI calls start with the comment of a file and region with each region in it.
func eachROI(at string, start func(comment string) error, region func(entry string, data []byte) error) error {
	f, err := regular.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	if strings.EqualFold(filepath.Ext(at), ".roi") {
		data, err := io.ReadAll(io.LimitReader(f, roiMaxBytes))
		if err == nil {
			err = start("")
		}
		if err != nil {
			return err
		}
		return region(strings.TrimSuffix(filepath.Base(at), filepath.Ext(at)), data)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return regionsInZIP(f, info.Size(), start, region)
}

// regionsInZIP is eachROI of a ZIP file.
func regionsInZIP(f io.ReaderAt, size int64, start func(comment string) error, region func(entry string, data []byte) error) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return err
	}
	if err := start(z.Comment); err != nil {
		return err
	}
	for _, e := range z.File {
		if !isROI(e) {
			continue
		}
		r, err := e.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		data, err := io.ReadAll(io.LimitReader(r, roiMaxBytes))
		r.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		if err := region(strings.TrimSuffix(path.Base(e.Name), path.Ext(e.Name)), data); err != nil {
			return err
		}
	}
	return nil
}

// hasROIs reports whether a file is a ZIP file with regions.
func hasROIs(name string) bool {
	f, err := regular.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	z, err := zipOf(f)
	return err == nil && slices.ContainsFunc(z.File, isROI)
}

func zipOf(f *os.File) (*zip.Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return zip.NewReader(f, info.Size())
}

func isROI(e *zip.File) bool { return strings.EqualFold(path.Ext(e.Name), ".roi") }

// addROI adds a region to a picture and returns its plane.
func addROI(p *coco.LabeledImage, entry string, data []byte) (plane [2]int, err error) {
	r, err := decodeROI(data)
	if err != nil {
		return plane, err
	}
	v := coco.LabeledInstance{Category: NoClass}
	if v.Mask, err = mask.FromRings(r.rings, p.Width, p.Height); err != nil {
		return plane, err
	}
	if v.Mask.Area() == 0 {
		return plane, errNoPixels
	}
	if class := r.properties["class"]; class != "" {
		v.Category = class
	}
	if score, err := strconv.ParseFloat(r.properties["score"], 64); err == nil && score-score == 0 {
		v.Score, v.HasScore = score, true
	}
	v.Label = labelNamed(entry)
	p.Instances = append(p.Instances, v)
	return r.plane, nil
}

var errNoPixels = errors.New("it has no pixels in the picture")

// labelNamed returns the label that is a name, or 0.
func labelNamed(name string) uint32 {
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// pictureOfRegions returns the picture that a file of regions is about, without instances: the
// one that the file says, or the one that has its name.
func (o *Options) pictureOfRegions(folder, name string, suffixes []string, said string) (*coco.LabeledImage, error) {
	var m madeFor
	if json.Unmarshal([]byte(said), &m) == nil && m.check() == nil {
		p := &coco.LabeledImage{ImageID: m.ID, FileName: m.FileName, Width: m.Width, Height: m.Height}
		if m.FileName == "" {
			p.FileName = strings.TrimSuffix(name, path.Ext(name)) + ".png"
		}
		return p, nil
	}
	images := o.Images
	if images == "" {
		images = folder
	}
	at, ok := o.pictureBeside(folder, name, suffixes)
	if !ok {
		return nil, fmt.Errorf("regions do not say how large their picture is, and %s has none of this name: name the folder of the pictures (--images)", images)
	}
	width, height, err := pictureSize(filepath.Join(images, filepath.FromSlash(at)))
	if err != nil {
		return nil, err
	}
	return &coco.LabeledImage{FileName: at, Width: width, Height: height}, nil
}

// pictureBeside returns the picture that has the name of a file but for extension and suffix,
// seen from the folder of the pictures.
func (o *Options) pictureBeside(folder, name string, suffixes []string) (string, bool) {
	images := o.Images
	if images == "" {
		images = folder
	}
	stem := strings.TrimSuffix(name, path.Ext(name))
	tries := []string{stem, path.Base(stem)}
	for _, s := range suffixes {
		if cut := len(stem) - len(s); cut > 0 && strings.EqualFold(stem[cut:], s) {
			tries = append(tries, stem[:cut], path.Base(stem[:cut]))
		}
	}
	for _, try := range slices.Compact(tries) {
		if at, ok := pictureOf(images, try); ok {
			return at, true
		}
		if isPicture(try) && isFile(filepath.Join(images, filepath.FromSlash(try))) { // a.png.geojson
			return try, true
		}
	}
	return "", false
}
