package coco_test

import (
	"testing"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/zerotest"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(coco.Builder), new(coco.Category), new(coco.CategoryReport), new(coco.Dataset), new(coco.Image), new(coco.Index),
		new(coco.LabeledImage), new(coco.LabeledInstance), new(coco.MatchCount), new(coco.MatchGroup), new(coco.Matching),
		new(coco.Problem), new(coco.Problems), new(coco.Report), new(coco.Result), new(coco.Segmentation), new(coco.Stats),
		coco.Analyze, coco.ChooseScore, coco.Evaluate, coco.Load, coco.LoadResults, coco.MatchInstances, coco.Read,
		coco.ReadLabelMap, coco.ReadLabelMe, coco.ReadMasks, coco.ReadResults, coco.SaveResults, coco.WriteLabelMap,
		coco.WriteLabelMe, coco.WriteMasks, coco.WriteResults,
	)
}
