package annotation

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A foreign form is JSON of a tool that is not read here, known by keys that it has.
type foreign struct {
	tool, export string
	keys         []string
}

const asCOCO = "export it as COCO with polygons or masks"

var foreigns = []foreign{
	{"Label Studio", "export it as COCO", []string{"original_width", "original_height"}},
	{"Label Studio", "export it as COCO", []string{"data", "result"}},
	{"the VGG Image Annotator (VIA)", "export it as COCO (Annotation, Export Annotations)", []string{"regions", "shape_attributes"}},
	{"the VGG Image Annotator (VIA 3)", "export it as COCO", []string{"fid", "fname"}},
	{"Supervisely", "export it with the application Export to COCO", []string{"objects", "geometryType"}},
	{"Supervisely", "export the project with the application Export to COCO", []string{"classes", "tags", "shape"}},
	{"V7 Darwin", asCOCO, []string{"schema_ref", "item"}},
	{"V7 Darwin", asCOCO, []string{"image", "annotations", "polygon", "path"}},
	{"Roboflow's inference", "export the project as COCO Segmentation", []string{"predictions", "image"}},
	{"Labelbox", "convert it to COCO with the labelbox package", []string{"Labeled Data"}},
	{"Labelbox", "convert it to COCO with the labelbox package", []string{"data_row", "projects"}},
	{"SuperAnnotate", "convert it to COCO with the superannotate package", []string{"instances", "className"}},
	{"Cityscapes", "convert it to COCO", []string{"imgHeight", "imgWidth", "objects"}},
	{"BDD100K (Scalabel)", "convert it to COCO with scalabel.label.to_coco", []string{"labels", "poly2d"}},
	{"Create ML", "boxes alone cannot train masks: annotate outlines", []string{"image", "annotations", "coordinates"}},
	{"Hasty", "export it as COCO", []string{"label_classes", "project_name"}},
	{"Datumaro", "run datum convert -f coco_instances", []string{"items", "categories", "label"}},
	{"panoptic segmentation of COCO", "its masks are in PNG files: run panoptic2detection_coco_format.py of panopticapi", []string{"annotations", "segments_info"}},
	{"FiftyOne", "export it as COCODetectionDataset", []string{"classes", "labels", "bounding_box"}},
	{"HoVer-Net", "export it for QuPath and save GeoJSON there", []string{"nuc", "contour"}},
	{"SA-1B (Segment Anything)", "join the files to one of COCO", []string{"image", "annotations", "predicted_iou"}},
	{"Kili", "export it as COCO", []string{"jsonResponse"}},
	{"Encord", "export it as COCO", []string{"label_hash", "data_units"}},
}

// errForeign is wrapped by errors about JSON of a tool that is not read here.
var errForeign = fmt.Errorf("%w", errUnknown)

// foreignTool returns an error that names the tool whose JSON has these keys, nil for none.
func foreignTool(keys map[string]bool) error {
	for _, f := range foreigns {
		if !slices.ContainsFunc(f.keys, func(k string) bool { return !keys[k] }) {
			return fmt.Errorf("%w: it is JSON of %s, which is not read here: %s", errForeign, f.tool, f.export)
		}
	}
	return nil
}

const keyTokens = 4000 // that are looked at for keys

// eachKey calls see with the keys of a JSON value in their order, as far as it can be read, and
// reports whether it is a list. Of GeoJSON the type is a key, too.
func eachKey(d *json.Decoder, see func(key string)) (list bool) {
	type level struct{ object, value bool } // value is true behind a key
	var stack []level
	for n := range keyTokens {
		token, err := d.Token()
		if err != nil {
			return list
		}
		list = list || n == 0 && token == json.Delim('[')
		top := len(stack) - 1
		switch {
		case token == json.Delim('}') || token == json.Delim(']'):
			stack = stack[:top]
			top--
		case top >= 0 && stack[top].object && !stack[top].value:
			stack[top].value = true
			see(token.(string))
			continue
		case token == json.Delim('{') || token == json.Delim('['):
			stack = append(stack, level{object: token == json.Delim('{')})
			continue
		case token == "FeatureCollection":
			see(token.(string))
		}
		if top < 0 {
			return list
		}
		stack[top].value = false
	}
	return list
}
