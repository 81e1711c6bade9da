package coco

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readShapes reads a LabelMe file of 30×20 pixels, and returns what was reported about shapes
// without area, and what else is harmless and is not.
func readShapes(t *testing.T, shapes ...string) (p *LabeledImage, noArea []string, costly, harmless Problems) {
	t.Helper()
	text := `{"shapes": [` + strings.Join(shapes, ",") + `], "imagePath": "a.jpg", "imageHeight": 20, "imageWidth": 30}`
	p, err := ReadLabelMe(strings.NewReader(text), LabelMeReadOptions{NoArea: func(p Problem) { noArea = append(noArea, p.Error()) }})
	require.NotNil(t, p, "%v", err)
	problems, _ := AsProblems(err)
	costly, harmless = problems.Split()
	return p, noArea, costly, harmless
}

func TestShapesWithoutArea(t *testing.T) {
	const whole = `{"label": "w", "points": [[1, 1], [5, 1], [5, 5], [1, 5]]}`
	flat := []string{
		`{"label": "a", "points": [[3, 3], [3, 3]], "shape_type": "rectangle"}`,
		`{"label": "a", "points": [[3, 3], [9, 3]], "shape_type": "rectangle"}`,
		`{"label": "a", "points": [[3, 3], [3, 9], [3, 9], [3, 3]], "shape_type": "rectangle"}`,
		`{"label": "a", "points": [[3, 3], [9, 3], [9, 3], [3, 3]], "shape_type": "rotation"}`,
		`{"label": "a", "points": [[3, 3], [3, 3]], "shape_type": "circle"}`,
		`{"label": "a", "points": [[3.1, 3.7], [3.1, 3.7], [3.1, 3.7]]}`,
		`{"label": "a", "points": [[1.3, 1.1], [9.3, 7.1], [17.3, 13.1]]}`, // the pixels beside a slanted line
		`{"label": "a", "points": [[3.1, 3.1], [3.2, 3.1], [3.2, 3.2]]}`,   // around no pixel's centre
	}
	p, noArea, costly, harmless := readShapes(t, append(flat, whole)...)
	require.Empty(t, costly)
	require.Empty(t, harmless)
	require.Len(t, noArea, len(flat))
	require.Equal(t, "shape 0 (a): a rectangle has no area: its points are on one line", noArea[0])
	require.Equal(t, "shape 7 (a): a polygon has no area: it covers no pixel", noArea[7])
	require.Len(t, p.Instances, 1)
	require.Equal(t, "w", p.Instances[0].Category)

	// Lobes that cancel in the formula of the area are an area.
	p, noArea, _, _ = readShapes(t, `{"label": "a", "points": [[1, 1], [9, 9], [9, 1], [1, 9]]}`)
	require.Empty(t, noArea)
	require.Positive(t, p.Instances[0].Mask.Area())
}

func TestShapesWithoutLabel(t *testing.T) {
	const points = `"points": [[1, 1], [5, 1], [5, 5], [1, 5]]`
	p, _, costly, _ := readShapes(t, `{"label": "a", `+points+`}`, `{`+points+`}`, `{"label": null, `+points+`}`, `{"label": " ", `+points+`}`,
		`{"label": {"name": "a"}, `+points+`}`, `{"label": 7, `+points+`}`)
	require.Len(t, costly, 4)
	require.EqualError(t, costly[0], "shape 1: no label")
	require.EqualError(t, costly[1], "shape 2: no label")
	require.ErrorContains(t, costly[2], "no label")
	require.ErrorContains(t, costly[3], "shape 4: label: ")
	require.Len(t, p.Instances, 2)
	require.Equal(t, "7", p.Instances[1].Category)
}

func TestShapesBeyondThePicture(t *testing.T) {
	p, _, costly, harmless := readShapes(t,
		`{"label": "a", "points": [[-0.4, 1], [30.5, 1], [5, 20.4]]}`, // as people draw along the edge
		`{"label": "b", "points": [[25, 1], [34, 9]], "shape_type": "rectangle"}`,
		`{"label": "c", "points": [[3, 3], [3, 10]], "shape_type": "circle"}`)
	require.Empty(t, costly)
	require.Len(t, p.Instances, 3)
	require.Len(t, harmless, 1)
	require.EqualError(t, harmless[0], "2 shapes reach beyond the picture of 30×20 pixels, by up to 4 pixels, and are clipped (the first: shape 1, b)")
}
