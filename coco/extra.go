package coco

import (
	"encoding/json"
	"maps"
	"slices"
)

// null is what a field without a value is kept as.
var null = json.RawMessage("null")

// kept reports whether extra has another form of a field, which it has not if that is null.
func kept(extra map[string]json.RawMessage, name string) bool {
	raw, ok := extra[name]
	return ok && string(raw) != "null"
}

func set(extra *map[string]json.RawMessage, name string, raw json.RawMessage) {
	if *extra == nil {
		*extra = map[string]json.RawMessage{}
	}
	(*extra)[name] = raw
}

// with returns extra with a field. It does not change extra, which other records may share.
func with(extra map[string]json.RawMessage, name string, raw json.RawMessage) map[string]json.RawMessage {
	out := maps.Clone(extra)
	set(&out, name, raw)
	return out
}

// without returns extra without some fields. It does not change extra.
func without(extra map[string]json.RawMessage, names ...string) map[string]json.RawMessage {
	if !slices.ContainsFunc(names, func(name string) bool { return extra[name] != nil }) {
		return extra
	}
	out := maps.Clone(extra)
	for _, name := range names {
		delete(out, name)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// scoreOf returns the score that an annotation has in its extra fields.
func scoreOf(extra map[string]json.RawMessage) (score float64, ok bool) {
	return score, kept(extra, "score") && json.Unmarshal(extra["score"], &score) == nil
}
