package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrm-plan/xfrm-plan/plan"
)

// decoded are the keys that the decoder takes, by their path in the schema.
var decoded = map[string][]string{
	"":                            names(documentFields),
	"metadata":                    names(metadataFields),
	"window":                      names(windowFields),
	"targets[]":                   names(targetFields),
	"renumber[]":                  names(renumberFields),
	"select":                      names(selectFields),
	"select.include[]":            names(matchFields),
	"select.include[].mark":       names(markFields),
	"select.exclude[]":            names(matchFields),
	"select.exclude[].mark":       names(markFields),
	"overrides[]":                 names(overrideFields),
	"overrides[].match":           names(matchFields),
	"overrides[].match.mark":      names(markFields),
	"overrides[].set":             names(setFields),
	"overrides[].set.encap":       names(encapFields),
	"overrides[].set.selector":    names(selectorFields),
	"overrides[].set.mark":        names(markFields),
	"overrides[].set.outputMark":  names(markFields),
	"overrides[].set.offload":     names(offloadFields),
	"transaction":                 names(transactionFields),
	"waves[]":                     names(waveFields),
	"checks":                      names(checksFields),
	"checks.before":               names(beforeFields),
	"checks.after":                names(afterFields),
	"checks.after.inboundTraffic": names(inboundTrafficFields),
	"checks.after.command":        names(checkCommandFields),
	"ike":                         names(ikeFields),
	"reestablish":                 names(reestablishFields),
	"confirm":                     names(confirmFields),
}

func names[T any](f fields[T]) []string { return slices.Sorted(maps.Keys(f)) }

// eachObject calls f with every mapping that the schema describes.
func eachObject(path string, sub map[string]any, f func(path string, sub map[string]any)) {
	sub = resolve(sub)
	for _, alternative := range asList(sub["anyOf"]) {
		eachObject(path, alternative.(map[string]any), f)
	}
	if items, ok := sub["items"].(map[string]any); ok {
		eachObject(path+"[]", items, f)
	}
	properties, ok := sub["properties"].(map[string]any)
	if !ok {
		return
	}
	f(path, sub)
	for key, property := range properties {
		eachObject(strings.TrimPrefix(path+"."+key, "."), property.(map[string]any), f)
	}
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

func TestSchemaAndDecoderHaveTheSameKeys(t *testing.T) {
	inSchema := map[string][]string{}
	eachObject("", schemaTree, func(path string, sub map[string]any) {
		have := slices.Sorted(maps.Keys(sub["properties"].(map[string]any)))
		inSchema[path] = have
		if sub["additionalProperties"] != false {
			t.Errorf("%s takes any key", path)
		}
	})
	if diff := cmp.Diff(inSchema, decoded); diff != "" {
		t.Errorf("keys (-schema +decoder):\n%s", diff)
	}
}

// TestEveryFieldOfADocumentCanBeSaid holds the Go types to the schema: a field that no plan can set is a mistake.
func TestEveryFieldOfADocumentCanBeSaid(t *testing.T) {
	full := load(t, string(readFile(t, "testdata/maximal.yaml")))
	// What the maximal document cannot say beside the rest.
	full.Reestablish.Socket = load(t, header+oneMap+"reestablish: {driver: vici}\n").Reestablish.Socket
	full.Checks.LocalAddressAssigned, full.Checks.RouteToPeer = true, true
	set := map[string]bool{}
	var visit func(path string, v reflect.Value)
	visit = func(path string, v reflect.Value) {
		if v.Kind() == reflect.Pointer {
			set[path] = set[path] || !v.IsNil()
			if v.IsNil() {
				return
			}
			v = v.Elem()
		}
		switch {
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				visit(path+"[]", v.Index(i))
			}
			set[path] = set[path] || v.Len() > 0
		case v.Kind() == reflect.Struct && strings.HasPrefix(v.Type().PkgPath(), "github.com/xfrm-plan"):
			for i := range v.NumField() {
				visit(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		default:
			set[path] = set[path] || !v.IsZero()
		}
	}
	visit("", reflect.ValueOf(*full))
	for path, ok := range set {
		if !ok && !slices.Contains(notInAMatchOfAnOverride, path) {
			t.Errorf("no key of the maximal document sets %s", path)
		}
	}
}

// notInAMatchOfAnOverride: matches are one type, and all its fields are set under Select.
var notInAMatchOfAnOverride = []string{
	".Overrides[].Match.IfID", ".Overrides[].Match.Mark", ".Overrides[].Match.Proto", ".Overrides[].Match.Mode",
	".Overrides[].Match.Local", ".Overrides[].Match.Remote", ".Overrides[].Match.SPI",
	".Select.Exclude[].Reqid", ".Select.Exclude[].IfID", ".Select.Exclude[].Mark", ".Select.Exclude[].Local",
	".Select.Exclude[].Remote", ".Select.Exclude[].SPI", ".Select.Include[].Mode", // tunnel and transport
}

// TestSchemaExplainsEveryKey keeps what an editor shows complete.
func TestSchemaExplainsEveryKey(t *testing.T) {
	eachObject("", schemaTree, func(path string, sub map[string]any) {
		for key, property := range sub["properties"].(map[string]any) {
			p := resolve(property.(map[string]any))
			for _, keyword := range []string{"title", "description", "examples"} {
				if p[keyword] == nil {
					t.Errorf("%s.%s has no %s", path, key, keyword)
				}
			}
		}
	})
}

// TestDefaultsOfTheSchemaAreTheDecoders loads a plan with every default of the schema written out.
func TestDefaultsOfTheSchemaAreTheDecoders(t *testing.T) {
	base := header + oneMap + "overrides: [{match: {reqid: 1}, set: {outputMark: {value: 1%s}, offload: {dev: eth0%s}}}]\n"
	said := map[string]bool{}
	eachObject("", schemaTree, func(path string, sub map[string]any) {
		for key, property := range sub["properties"].(map[string]any) {
			if d, ok := resolve(property.(map[string]any))["default"]; ok && !strings.Contains(path, "ark") {
				said[path+"."+key+"="+flow(d)] = true
			}
		}
	})
	want := map[string]bool{
		".waves=[{name: all, size: 100%}]": true, ".onError=rollback": true, ".onExist=rollback": true,
		"waves[].pause=0s": true, "checks.before.localAddressAssigned=true": true, "checks.before.routeToPeer=true": true,
		"checks.after.command.timeout=30s": true, "overrides[].set.offload.mode=crypto": true,
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Fatalf("defaults of the schema (-want +got); add new ones to the plan below:\n%s", diff)
	}
	short := load(t, strings.ReplaceAll(base, "%s", "")+"checks: {after: {command: {run: [/bin/true]}}}\n")
	long := load(t, strings.Replace(strings.Replace(base, "%s", `, mask: "0xffffffff"`, 1), "%s", ", mode: crypto", 1)+
		"waves: [{name: all, size: 100%, pause: 0s}]\nonError: rollback\nonExist: rollback\n"+
		"checks: {before: {localAddressAssigned: true, routeToPeer: true}, after: {command: {run: [/bin/true], timeout: 30s}}}\n")
	if diff := cmp.Diff(short, long, compare); diff != "" {
		t.Errorf("left out and written out differ (-out +written):\n%s", diff)
	}
}

func TestJSONIsACopyOfTheSchema(t *testing.T) {
	first := JSON()
	if !json.Valid(first) {
		t.Fatal("not JSON")
	}
	first[0] = 'x'
	if bytes.Equal(first, JSON()) {
		t.Error("a caller can change the embedded schema")
	}
	if schemaTree["$id"] != schemaID {
		t.Errorf("$id = %v, want %s", schemaTree["$id"], schemaID)
	}
}

// TestExamplesOfTheSchemaLoad takes the whole example, which messages quote.
func TestExamplesOfTheSchemaLoad(t *testing.T) {
	data, err := json.Marshal(asList(schemaTree["examples"])[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, string(data)).OnError; got != plan.OnErrorRollback {
		t.Errorf("onError = %q", got)
	}
}
