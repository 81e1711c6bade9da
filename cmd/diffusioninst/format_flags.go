package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// flagFormats are the output formats on which flags have an effect.
var flagFormats = map[string][]string{
	"boxes": {"overlay"}, "labels": {"overlay"}, "line-width": {"overlay"},
	"polygons": {"coco", "labelme"}, "tolerance": {"labelme"}, "pixel-size": measuringFormats,
}

// checkFormatFlags refuses a flag that has an effect on none of the formats that are written.
func checkFormatFlags(cmd *cobra.Command, formats ...string) error {
	for _, name := range slices.Sorted(maps.Keys(flagFormats)) {
		use := func(format string) bool { return slices.Contains(flagFormats[name], format) }
		if cmd.Flags().Changed(name) && !slices.ContainsFunc(formats, use) {
			return fmt.Errorf("--%s has no effect on %s: it is for %s", name, strings.Join(formats, ", "), strings.Join(flagFormats[name], ", "))
		}
	}
	return nil
}
