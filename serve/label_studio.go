package serve

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/diffusioninst/go/diffusioninst"
)

// LabelStudio is a Label Studio whose ML backend a Server is, at the paths /predict, /setup, /health and
// /webhook. Instances come as polygons, or as brush strokes if the labelling interface has BrushLabels only.
type LabelStudio struct {
	// URL is Label Studio's own address, the only one that pictures of tasks are read from. If it is
	// "" they must be in the tasks, as data:image/png;base64,….
	URL   string
	Token string // of Label Studio's API, to read pictures
	// Client reads the pictures: nil for http.DefaultTransport. Redirects to other hosts are refused.
	Client *http.Client

	base *url.URL
}

// maxInterface is the greatest length of a labelling interface in bytes.
const maxInterface = 1 << 20

// outlineTolerance is how far a polygon may be from its mask, in pixels: people drag its corners.
const outlineTolerance = 1

func (s *Server) routeLabelStudio() error {
	l := *s.options.LabelStudio
	base, err := url.Parse(l.URL)
	if err != nil || l.URL != "" && (base.Scheme != "http" && base.Scheme != "https" || base.Host == "") {
		return fmt.Errorf("serve: Options.LabelStudio.URL %q is not an address such as https://label-studio.example.org", l.URL)
	}
	l.base = base
	client := http.Client{}
	if l.Client != nil {
		client = *l.Client
	}
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case !l.owns(r.URL):
			return errors.New("redirected to another host")
		case len(via) > 5:
			return errors.New("redirected again and again")
		}
		return nil
	}
	l.Client = &client
	s.options.LabelStudio = &l
	s.route("POST", "/predict", s.predict)
	s.route("POST", "/setup", s.setup)
	s.route("POST", "/webhook", func(w http.ResponseWriter, r *http.Request) {
		s.send(w, r, http.StatusOK, map[string]string{"status": "ok", "result": "this backend does not train"})
	})
	s.route("GET", "/health", func(w http.ResponseWriter, r *http.Request) {
		if !s.isReady() {
			s.fail(w, r, problem(http.StatusServiceUnavailable, "stopping", "the server is not ready"))
			return
		}
		s.send(w, r, http.StatusOK, map[string]string{"status": "UP", "model_class": serverName})
	})
	return nil
}

// owns reports whether an address is Label Studio's.
func (l *LabelStudio) owns(u *url.URL) bool {
	return l.base.Host != "" && u.Scheme == l.base.Scheme && u.Host == l.base.Host
}

// setup answers Label Studio when a project is connected or its interface changes.
func (s *Server) setup(w http.ResponseWriter, r *http.Request) {
	var request struct{ Schema string }
	received := s.reading(r.Context(), w)
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxInterface))
	received(err == nil)
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	if err == nil {
		var e *entry
		if e, err = s.find(""); err == nil {
			if _, err = parseInterface(request.Schema); err == nil {
				s.send(w, r, http.StatusOK, map[string]string{"model_version": e.name})
				return
			}
		}
	}
	if p := (*Problem)(nil); !errors.As(err, &p) {
		err = bodyProblem(err, "bad_body")
	}
	s.fail(w, r, err)
}

// A prediction is what Label Studio gets for a task.
type prediction struct {
	Version string   `json:"model_version"`
	Score   float64  `json:"score"` // mean of the regions
	Result  []region `json:"result"`
}

type region struct {
	ID       string         `json:"id"`
	From     string         `json:"from_name"`
	To       string         `json:"to_name"`
	Type     string         `json:"type"`
	Width    int            `json:"original_width"`
	Height   int            `json:"original_height"`
	Rotation int            `json:"image_rotation"`
	Score    float32        `json:"score"`
	Value    map[string]any `json:"value"`
}

// predict segments the pictures of tasks one after the other.
func (s *Server) predict(w http.ResponseWriter, r *http.Request) {
	s.inside(w, r, func(ctx context.Context, p *place) bool {
		body, err := s.body(ctx, w, r, p, readWhole)
		if err != nil {
			s.fail(w, r, err)
			return true
		}
		if err := p.keep(3*int64(cap(body)) + valueBytes*jsonValues(body)); err != nil { // with what is made of it
			s.fail(w, r, err)
			return true
		}
		var request struct {
			Tasks []struct {
				ID   json.RawMessage
				Data map[string]any
			}
			Interface string `json:"label_config"`
		}
		if err := json.Unmarshal(body, &request); err != nil {
			s.fail(w, r, problem(http.StatusBadRequest, "bad_body", "the JSON of the request cannot be read: %v", err))
			return true
		}
		labels, err := parseInterface(request.Interface)
		if err != nil {
			s.fail(w, r, err)
			return true
		}
		out := make([]json.RawMessage, 0, len(request.Tasks))
		for _, task := range request.Tasks {
			address, _ := task.Data[labels.key].(string)
			one, left, err := s.predictTask(ctx, w, p, labels, address)
			if err != nil {
				problem := *asProblem(err)
				problem.Message = fmt.Sprintf("task %s: %s", task.ID, problem.Message)
				s.fail(w, r, &problem)
				return !left
			}
			out = append(out, one)
		}
		s.send(w, r, http.StatusOK, map[string][]json.RawMessage{"results": out})
		return true
	})
}

// predictTask returns a prediction in JSON, which the place keeps.
func (s *Server) predictTask(ctx context.Context, w http.ResponseWriter, p *place, labels *labelInterface, address string) (_ json.RawMessage, left bool, err error) {
	data, err := s.readTask(ctx, p, address)
	if err != nil {
		return nil, false, err
	}
	q, err := parseValues(nil, nil, s.options.Segment)
	if err != nil {
		return nil, false, err
	}
	e, err := s.choose(q)
	if err != nil {
		return nil, false, err
	}
	j, _, err := s.job(ctx, w, p, q, e, data, int64(len(data)))
	if err != nil {
		return nil, false, err
	}
	if left, err := s.finished(ctx, w, p, j); err != nil {
		return nil, left, err
	}
	out := prediction{Version: e.name, Result: labels.regions(j.result)}
	for _, r := range out.Result {
		out.Score += float64(r.Score) / float64(len(out.Result))
	}
	text, err := json.Marshal(out)
	if err == nil {
		err = p.keep(p.kept + 3*int64(len(text))) // and in the answer
	}
	return text, false, err
}

// readTask returns the file of a task's picture, for which the place holds memory.
func (s *Server) readTask(ctx context.Context, p *place, address string) ([]byte, error) {
	if text, ok := strings.CutPrefix(address, "data:"); ok {
		_, text, _ = strings.Cut(text, ";base64,")
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(data) == 0 {
			return nil, problem(http.StatusBadRequest, "bad_picture_address", "the picture is not data:image/…;base64,…")
		}
		return data, nil // the place holds it as a part of the request
	}
	l := s.options.LabelStudio
	u, err := l.base.Parse(address)
	if err != nil || address == "" || !l.owns(u) {
		return nil, problem(http.StatusUnprocessableEntity, "bad_picture_address", "the picture is at %q, and this server reads pictures of %q only", address, l.base.Redacted())
	}
	r, err := http.NewRequestWithContext(ctx, "GET", u.String(), nil)
	if err != nil {
		return nil, err
	}
	if l.Token != "" {
		r.Header.Set("Authorization", "Token "+l.Token)
	}
	answer, err := l.Client.Do(r)
	if err != nil {
		return nil, ended(ctx, unread(err.Error()))
	}
	defer answer.Body.Close()
	length := answer.ContentLength
	switch {
	case answer.StatusCode != http.StatusOK:
		return nil, unread(answer.Status)
	case length > s.options.MaxBody:
		return nil, &http.MaxBytesError{Limit: s.options.MaxBody}
	case length < 0:
		length = s.options.MaxBody
	}
	if err := p.hold(length); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, answer.Body, s.options.MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); err != nil && !errors.As(err, &tooLarge) {
		err = ended(ctx, unread(err.Error()))
	}
	return data, err
}

func unread(why string) *Problem {
	return problem(http.StatusBadGateway, "picture_unread", "the picture cannot be read from Label Studio: %s", why)
}

// regions are the instances of a result that have a label in the interface.
func (l *labelInterface) regions(result *diffusioninst.Result) []region {
	out := []region{}
	for i, in := range result.Instances {
		label, ok := l.labels[strings.ToLower(in.Name)]
		if !ok || in.Mask.Empty() {
			continue
		}
		add := func(value map[string]any) {
			value[l.kind] = []string{label}
			out = append(out, region{
				ID: fmt.Sprintf("instance-%d-%d", i+1, len(out)+1), From: l.from, To: l.to, Type: l.kind,
				Width: result.Width, Height: result.Height, Score: in.Score, Value: value,
			})
		}
		if l.kind == brushLabels {
			add(map[string]any{"format": "rle", "rle": brushStrokes(in.Mask)})
			continue
		}
		for _, polygon := range in.Mask.Polygons(outlineTolerance) {
			points := make([][2]float64, len(polygon)/2)
			for k := range points {
				points[k] = [2]float64{100 * polygon[2*k] / float64(result.Width), 100 * polygon[2*k+1] / float64(result.Height)}
			}
			add(map[string]any{"points": points, "closed": true})
		}
	}
	return out
}
