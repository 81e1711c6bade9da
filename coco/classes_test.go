package coco

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCOCOClasses(t *testing.T) {
	classes := COCOClasses()
	require.Len(t, classes, 80)
	names := map[string]bool{}
	for i, c := range classes {
		require.NotEmpty(t, c.Supercategory)
		require.False(t, names[c.Name], c.Name)
		names[c.Name] = true
		if i > 0 {
			require.Greater(t, c.ID, classes[i-1].ID)
		}
	}
	require.Equal(t, Category{ID: 1, Name: "person", Supercategory: "person"}, classes[0])
	require.Equal(t, Category{ID: 44, Name: "bottle", Supercategory: "kitchen"}, classes[39])
	require.Equal(t, Category{ID: 90, Name: "toothbrush", Supercategory: "indoor"}, classes[79])
}

func TestLVISClasses(t *testing.T) {
	classes := LVISClasses()
	require.Len(t, classes, 1203)
	names, groups := map[string]bool{}, map[string]int{}
	for i, c := range classes {
		require.EqualValues(t, i+1, c.ID)
		require.Positive(t, c.ImageCount, c.Name)
		require.False(t, names[c.Name], c.Name)
		names[c.Name] = true
		groups[c.Frequency]++
	}
	require.Equal(t, map[string]int{"r": 337, "c": 461, "f": 405}, groups) // the published split
	require.Equal(t, "person", classes[792].Name)
	require.Equal(t, 1928, classes[792].ImageCount)
	require.Equal(t, "zucchini", classes[1202].Name)
}
