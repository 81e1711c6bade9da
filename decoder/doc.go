// Package decoder is the iterative head of DiffusionInst: from noisy boxes, a
// feature pyramid and a time it predicts classes, better boxes and mask filters,
// stage by stage (Chen et al., DiffusionDet, 2022; Gu et al., DiffusionInst, 2022).
package decoder
