package beamseg

import "github.com/apache/beam/sdks/v2/go/pkg/beam"

// counters is the namespace of the counters of Segment.
const counters = "diffusioninst"

// Count returns how many pictures a pipeline has segmented and how many it has recorded as failed. On runners that count what
// they try, a bundle that was repeated counts again; on runners without metrics both are 0.
func Count(r beam.PipelineResult) (segmented, failed int64) {
	found := r.Metrics().Query(func(m beam.MetricResult) bool { return m.Namespace() == counters })
	for _, c := range found.Counters() {
		switch c.Name() {
		case "segmented":
			segmented += c.Result()
		case "failed":
			failed += c.Result()
		}
	}
	return segmented, failed
}
