package detectron2_test

import (
	"fmt"

	"github.com/diffusioninst/go/internal/detectron2"
)

func ExampleLoad() {
	c, warnings, err := detectron2.Load("testdata/cells_res50.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(warnings), "warnings")
	fmt.Println(c.Model.Backbone.Name, c.Model.ResNets.Depth)
	fmt.Println(c.Model.DiffusionInst.NumProposals, "proposals,", c.Model.DiffusionInst.NumClasses, "classes")
	// Output:
	// 0 warnings
	// build_resnet_fpn_backbone 50
	// 400 proposals, 3 classes
}
