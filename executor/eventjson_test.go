package executor

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// TestAppendJSONIsWhatEncodingJSONWrites sets every field there is, so that a new one can't be forgotten.
func TestAppendJSONIsWhatEncodingJSONWrites(t *testing.T) {
	var full Event
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case string, Kind:
			f.SetString("<\"ü\\\n> " + v.Type().Field(i).Name)
		case int, time.Duration:
			f.SetInt(int64(1_000_000_007 * (i + 1)))
		case time.Time:
			f.Set(reflect.ValueOf(time.Date(2026, 11, 24, 1, 2, i, 456_000_789, time.FixedZone("", 3600))))
		case []Answer:
			f.Set(reflect.ValueOf([]Answer{{"MIGRATE_STATE", "EEXIST", "New SA tuple already occupied"}, {Request: "GETAE"}}))
		default:
			t.Fatalf("field %s: AppendJSON has to learn of it", v.Type().Field(i).Name)
		}
	}
	for _, e := range []Event{full, {}, {Time: time.Now(), Kind: GroupDone, Wave: "rest", Group: "192.0.2.1 to 203.0.113.1 reqid 1", Span: 1, Done: 3, Total: 4}} {
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(append(e.AppendJSON(nil), '}')); got != string(want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
