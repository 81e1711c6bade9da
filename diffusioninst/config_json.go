package diffusioninst

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/sampler"
)

// jsonVersion is the version of the JSON form.
const jsonVersion = 1

// A configuration in JSON has its fields by their names, and for an interface the name
// and the fields of what implements it. The fields declared here override fields of the
// same name in the embedded structs.
type (
	plainConfig   Config
	plainSampling sampler.Config

	jsonConfig struct {
		Version  int
		Backbone part[backbone.Builder]
		Sampling jsonSampling
		plainConfig
	}
	jsonSampling struct {
		Schedule sampler.Schedule `json:",omitempty"` // the paper's if absent
		Sampler  part[sampler.Sampler]
		Grid     part[sampler.Grid]
		Renewal  part[sampler.Renewal]
		plainSampling
	}
)

// MarshalJSON returns the whole configuration as JSON, which training puts into a
// checkpoint so that Load needs no other. Of a Backbone, Sampler, Grid or Renewal of the
// caller's own it writes only the name of the type, which UnmarshalJSON refuses.
func (c Config) MarshalJSON() ([]byte, error) {
	j := jsonConfig{Version: jsonVersion, Backbone: part[backbone.Builder]{c.Backbone}, plainConfig: plainConfig(c)}
	j.Sampling = jsonSampling{
		Schedule: c.Sampling.Schedule, Sampler: part[sampler.Sampler]{c.Sampling.Sampler},
		Grid: part[sampler.Grid]{c.Sampling.Grid}, Renewal: part[sampler.Renewal]{c.Sampling.Renewal},
		plainSampling: plainSampling(c.Sampling),
	}
	if slices.Equal(c.Sampling.Schedule, sampler.Cosine(1000)) {
		j.Sampling.Schedule = nil
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote. Unknown fields, and parts that are not of
// this module, are a *ConfigError.
func (c *Config) UnmarshalJSON(data []byte) error {
	var j jsonConfig
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return asConfigError(err)
	}
	if j.Version != jsonVersion {
		return configError("its JSON has version %d, this program reads version %d", j.Version, jsonVersion)
	}
	*c = Config(j.plainConfig)
	c.Backbone = j.Backbone.value
	c.Sampling = sampler.Config(j.Sampling.plainSampling)
	c.Sampling.Schedule = j.Sampling.Schedule
	c.Sampling.Sampler, c.Sampling.Grid, c.Sampling.Renewal = j.Sampling.Sampler.value, j.Sampling.Grid.value, j.Sampling.Renewal.value
	return nil
}

// parts are the implementations of the interfaces of Config, by their names in JSON.
var parts = map[string]reflect.Type{
	"ResNetFPN": reflect.TypeFor[backbone.ResNetFPN](), "SwinFPN": reflect.TypeFor[backbone.SwinFPN](),
	"DDIM": reflect.TypeFor[sampler.DDIM](), "DDPM": reflect.TypeFor[sampler.DDPM](), "DPMSolver2M": reflect.TypeFor[sampler.DPMSolver2M](),
	"Euler": reflect.TypeFor[sampler.Euler](), "Heun": reflect.TypeFor[sampler.Heun](), "Restart": reflect.TypeFor[sampler.Restart](),
	"LinearGrid": reflect.TypeFor[sampler.LinearGrid](), "QuadraticGrid": reflect.TypeFor[sampler.QuadraticGrid](),
	"KarrasGrid": reflect.TypeFor[sampler.KarrasGrid](), "Times": reflect.TypeFor[sampler.Times](),
	"NoRenewal": reflect.TypeFor[sampler.NoRenewal](), "Threshold": reflect.TypeFor[sampler.Threshold](),
	"TopFraction": reflect.TypeFor[sampler.TopFraction](),
}

// part is a value of an interface type, null or {"name": value} in JSON.
type part[I any] struct{ value I }

func (p part[I]) MarshalJSON() ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(p.value))
	if !v.IsValid() {
		return []byte("null"), nil
	}
	for name, known := range parts {
		if v.Type() == known {
			return json.Marshal(map[string]any{name: v.Interface()})
		}
	}
	return json.Marshal(map[string]any{v.Type().String(): struct{}{}})
}

func (p *part[I]) UnmarshalJSON(data []byte) error {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(data, &named); err != nil {
		return err
	}
	if len(named) > 1 {
		return fmt.Errorf("%d parts, want one", len(named))
	}
	for name, text := range named {
		known, ok := parts[name]
		if !ok || !known.Implements(reflect.TypeFor[I]()) {
			return fmt.Errorf("%s is not a %s of this module: give a configuration (LoadOptions.Config)", name, reflect.TypeFor[I]().Name())
		}
		v := reflect.New(known)
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(v.Interface()); err != nil {
			return err
		}
		p.value = v.Elem().Interface().(I)
	}
	return nil
}
