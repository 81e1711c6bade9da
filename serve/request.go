package serve

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
)

// A query is what a request for a picture asks for, by its URL and its Accept header.
type query struct {
	model     string
	options   diffusioninst.Options
	picture   picture.Options
	output    string // one of outputNames
	mask      string // rle, polygons or none
	tolerance float64
}

// parameters are a URL's, by name.
var parameters = map[string]func(q *query, text string) error{
	"model":     func(q *query, text string) error { q.model = text; return nil },
	"steps":     atLeast(1, func(q *query) *int { return &q.options.Steps }),
	"proposals": atLeast(1, func(q *query) *int { return &q.options.Proposals }),
	"limit":     atLeast(1, func(q *query) *int { return &q.options.Limit }),
	"score": func(q *query, text string) error {
		v, err := number(text)
		q.options.Score = v
		if v == 0 {
			q.options.Score = -1 // 0 is the default to the SDK; here it was asked for
		}
		return err
	},
	"seed": func(q *query, text string) (err error) {
		q.options.Seed, err = strconv.ParseUint(text, 10, 64)
		return err
	},
	"scale": func(q *query, text string) (err error) {
		q.options.Scale, err = number(text)
		if err == nil && !(q.options.Scale > 0) {
			err = fmt.Errorf("it must be above 0")
		}
		return err
	},
	"scales": func(q *query, text string) error {
		var s diffusioninst.Scales
		for factor := range strings.SplitSeq(text, ",") {
			v, err := number(factor)
			if err != nil {
				return err
			}
			s.Factors = append(s.Factors, v)
		}
		q.options.Scales = &s
		return nil
	},
	"tile": func(q *query, text string) (err error) {
		q.options.Tile, err = strconv.Atoi(text)
		if err == nil && q.options.Tile == 0 {
			err = fmt.Errorf("want a side in pixels, or -1 for no tiles")
		}
		return err
	},
	"norm": func(q *query, text string) error {
		q.options.Normalize = picture.Normalize(text)
		return q.options.Normalize.Check()
	},
	"page":  atLeast(1, func(q *query) *int { return &q.picture.Page }),
	"time":  atLeast(1, func(q *query) *int { return &q.picture.Time }),
	"scene": atLeast(1, func(q *query) *int { return &q.picture.Scene }),
	"z": func(q *query, text string) error {
		if text == "max" {
			q.picture.MaxZ = true
			return nil
		}
		return atLeast(1, func(q *query) *int { return &q.picture.Z })(q, text)
	},
	"channel": func(q *query, text string) error {
		q.picture.Channels = strings.Split(text, ",")
		return nil
	},
	"output": oneOf(func(q *query) *string { return &q.output }, outputNames...),
	"mask":   oneOf(func(q *query) *string { return &q.mask }, "rle", "polygons", "none"),
	"tolerance": func(q *query, text string) (err error) {
		q.tolerance, err = number(text)
		if err == nil && !(q.tolerance >= 0) {
			err = fmt.Errorf("want a distance in pixels from 0")
		}
		return err
	},
}

func atLeast(least int, field func(*query) *int) func(*query, string) error {
	return func(q *query, text string) error {
		n, err := strconv.Atoi(text)
		if err == nil && n < least {
			err = fmt.Errorf("at least %d is required", least)
		}
		*field(q) = n
		return err
	}
}

func oneOf(field func(*query) *string, values ...string) func(*query, string) error {
	return func(q *query, text string) error {
		*field(q) = text
		if !slices.Contains(values, text) {
			return fmt.Errorf("want one of %s", strings.Join(values, ", "))
		}
		return nil
	}
}

func number(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = fmt.Errorf("want a finite number")
	}
	return v, err
}

// parseQuery reads the parameters of a URL over the defaults, and the Accept header. Unknown
// and repeated parameters, and those that contradict each other, are a Problem.
func parseQuery(raw string, header http.Header, defaults diffusioninst.Options) (*query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "bad_option", "the query cannot be read: %v", err)
	}
	return parseValues(values, header.Values("Accept"), defaults)
}

// parseValues is parseQuery for parameters by name and what a client accepts.
func parseValues(values url.Values, accept []string, defaults diffusioninst.Options) (*query, error) {
	q := &query{options: defaults}
	for name, texts := range values {
		parse, known := parameters[name]
		switch {
		case !known:
			return nil, problem(http.StatusBadRequest, "unknown_option", "%q is not an option", name)
		case len(texts) > 1:
			return nil, problem(http.StatusBadRequest, "bad_option", "%s is given %d times", name, len(texts))
		}
		err := parse(q, texts[0])
		if _, ok := errors.AsType[*strconv.NumError](err); ok {
			err = errors.New("it is not a number, or is out of range")
		}
		if err != nil {
			return nil, problem(http.StatusBadRequest, "bad_option", "%s=%q: %v", name, texts[0], err)
		}
	}
	var err error
	if q.output, err = negotiate(q.output, accept); err != nil {
		return nil, err
	}
	switch {
	case q.output != "json" && q.mask != "":
		return nil, problem(http.StatusBadRequest, "bad_option", "mask=%s is for output=json, and the answer is %s", q.mask, q.output)
	case q.mask != "polygons" && values.Has("tolerance"):
		return nil, problem(http.StatusBadRequest, "bad_option", "tolerance is for mask=polygons")
	case q.mask == "":
		q.mask = "rle"
	}
	return q, nil
}

// accepted returns the weight that Accept headers give a media type (RFC 9110, 12.5.1): 1
// without headers or with empty ones, and that of the most specific range otherwise.
func accepted(accept []string, group, kind string) float64 {
	if strings.Join(accept, "") == "" {
		return 1
	}
	weight, specific := 0.0, 0
	for _, r := range strings.Split(strings.Join(accept, ","), ",") {
		parts := strings.Split(r, ";")
		level := 0
		switch strings.ToLower(strings.TrimSpace(parts[0])) {
		case group + "/" + kind:
			level = 3
		case group + "/*":
			level = 2
		case "*/*":
			level = 1
		}
		if level <= specific {
			continue
		}
		specific, weight = level, 1
		for _, p := range parts[1:] {
			if text, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(p)), "q="); ok {
				w, err := number(text)
				if err != nil {
					w = 0
				}
				weight = min(max(w, 0), 1)
			}
		}
	}
	return weight
}
