package coco

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckNames(t *testing.T) {
	require.NoError(t, CheckNames(nil))
	require.NoError(t, CheckNames([]string{"a", "A", " a"}))
	require.EqualError(t, CheckNames([]string{"a", "b", "a"}), `coco: classes 0 and 2 are both called "a"`)
	require.EqualError(t, CheckNames([]string{"a", ""}), "coco: class 1 has no name")
	for _, classes := range [][]Category{COCOClasses(), LVISClasses()} {
		var names []string
		for _, c := range classes {
			names = append(names, c.Name)
		}
		require.NoError(t, CheckNames(names))
	}
}
