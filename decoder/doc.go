// Package decoder implements the iterative head of DiffusionInst: from noisy boxes, a
// feature pyramid and a diffusion time it predicts classes, refined boxes and mask
// filters, stage by stage (Chen et al., DiffusionDet, arXiv 2211.09788; Gu et al.,
// DiffusionInst, arXiv 2212.02773).
package decoder
