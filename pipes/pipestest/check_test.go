package pipestest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// message builds a message.
func message(method pipes.Method, params string) pipes.Message {
	return pipes.Message{Version: pipes.ProtocolVersion, Method: method, Params: json.RawMessage(params)}
}

var (
	opened = message(pipes.MethodOpened, `{"extras": {}}`)
	closed = message(pipes.MethodClosed, `{}`)
)

func TestCheckOrder(t *testing.T) {
	t.Parallel()
	log := message(pipes.MethodLog, `{"message": "m", "level": "INFO"}`)
	out := message(pipes.MethodMaterialize, `{"asset_key": "a", "data_version": null, "metadata": null}`)
	for _, test := range []struct {
		messages []pipes.Message
		want     string
	}{
		{[]pipes.Message{opened, closed}, ""},
		{[]pipes.Message{opened, log, log, out, closed}, ""},
		{nil, "first message is not opened"},
		{[]pipes.Message{opened}, "last message is not closed"},
		{[]pipes.Message{log, closed}, "first message is not opened"},
		{[]pipes.Message{opened, closed, log}, "last message is not closed"},
		{[]pipes.Message{opened, opened, closed}, "opened is there twice"},
		{[]pipes.Message{opened, closed, closed}, "closed is there twice"},
		{[]pipes.Message{opened, out, out, closed}, `report_asset_materialization of "a" is there twice`},
		{[]pipes.Message{{Method: pipes.MethodOpened, Params: opened.Params}, closed}, `version is ""`},
	} {
		err := pipestest.Check(test.messages)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("Check() = %v, want %q", err, test.want)
		}
	}
}

func TestCheckParams(t *testing.T) {
	t.Parallel()
	const good = `{"message": "m\n", "stack": ["f\n"], "name": null, "cause": null, "context": null}`
	for _, test := range []struct {
		method pipes.Method
		params string
		want   string // part of the error
	}{
		{"finished", `{}`, "unknown method"},
		{pipes.MethodLog, `null`, "null"},
		{pipes.MethodLog, `{"message": "m"}`, "level is missing"},
		{pipes.MethodLog, `{"message": "m", "level": "NOTICE"}`, "not one of"},
		{pipes.MethodLog, `{"message": 1, "level": "INFO"}`, "1 is not a string"},
		{pipes.MethodLog, `{"message": "m", "level": "INFO", "logger": "x"}`, "logger is not a parameter"},
		{pipes.MethodClosed, `{"exception": null}`, "null"},
		{pipes.MethodClosed, `{"exception": ` + good + `}`, ""},
		{pipes.MethodClosed, `{"exception": ` + strings.Replace(good, `["f\n"]`, "null", 1) + `}`, "not a list"},
		{pipes.MethodClosed, `{"exception": ` + strings.Replace(good, `, "context": null`, "", 1) + `}`, "context is missing"},
		{pipes.MethodClosed, `{"exception": ` + strings.Replace(good, `"cause": null`, `"cause": {}`, 1) + `}`, "cause: "},
		{pipes.MethodMaterialize, `{"asset_key": "a", "data_version": 1, "metadata": null}`, "1 is not a string"},
		{pipes.MethodMaterialize, `{"asset_key": "", "data_version": null, "metadata": null}`, "no parts"},
		{pipes.MethodMaterialize, `{"asset_key": "a", "metadata": null}`, "data_version is missing"},
		{pipes.MethodMaterialize, `{"asset_key": "a", "data_version": null, "metadata": []}`, "metadata: "},
		{pipes.MethodCheck, `{"asset_key": "a", "check_name": "", "passed": true, "severity": "WARN", "metadata": null}`, "it is empty"},
		{pipes.MethodCheck, `{"asset_key": "a", "check_name": "c", "passed": 1, "severity": "WARN", "metadata": null}`, "not a boolean"},
		{pipes.MethodCheck, `{"asset_key": "a", "check_name": "c", "passed": true, "severity": "warn", "metadata": {}}`, "not one of"},
		{pipes.MethodCustom, `{"payload": null}`, ""},
		{pipes.MethodCustom, `{}`, "payload is missing"},
		{pipes.MethodExternalStream, `{"stream": "stdin", "text": "", "extras": {}}`, "not one of"},
		{pipes.MethodExternalStream, `{"stream": "stderr", "text": "t", "extras": {}}`, ""},
	} {
		messages := []pipes.Message{opened, message(test.method, test.params), closed}
		if test.method == pipes.MethodClosed {
			messages = messages[:2]
		}
		err := pipestest.Check(messages)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %s: Check() = %v, want %q", test.method, test.params, err, test.want)
		}
	}
}

func TestCheckMetadata(t *testing.T) {
	t.Parallel()
	accepted := map[string][]string{
		"__infer__":    {`1`, `null`, `[]`, `"x"`},
		"text":         {`"t"`},
		"json":         {`{}`, `[]`, `"s"`, `null`},
		"float":        {`1.0`, `-1e21`},
		"int":          {`1`, `-99999999999999999999999`},
		"bool":         {`true`},
		"timestamp":    {`1`, `1.5`},
		"null":         {`null`},
		"table":        {`{"records": [{"a": 1, "b": null}], "schema": [{"name": "a", "type": "int", "tags": {}}]}`},
		"table_schema": {`{"columns": [{"name": "a", "type": "t", "constraints": {"nullable": true, "unique": false, "other": []}}]}`},
		"table_column_lineage": {
			`{"deps_by_column": {"c": [{"asset_key": ["a"], "column_name": "x"}]}}`,
		},
	}
	refused := map[string][]string{
		"job":          {`"j"`},
		"text":         {`1`, `null`},
		"json":         {`1`, `true`},
		"float":        {`1`, `"1.0"`},
		"int":          {`1.0`, `1e3`, `"1"`},
		"bool":         {`0`, `"true"`},
		"timestamp":    {`"2024-01-01"`},
		"table":        {`{"records": [{"a": [1]}], "schema": []}`, `{"records": [], "schema": {"columns": []}}`, `{"records": []}`},
		"table_schema": {`{"columns": [{"name": "a"}]}`, `{"columns": null}`, `{"columns": [{"name": "a", "type": "t", "constraints": {}}]}`},
		"table_column_lineage": {
			`{"deps_by_column": {"c": [{"asset_key": "a", "column_name": "x"}]}}`, `{"deps_by_column": {"c": null}}`,
		},
	}
	check := func(kind, raw string) error {
		params := fmt.Sprintf(
			`{"asset_key": "a", "data_version": null, "metadata": {"m": {"type": %q, "raw_value": %s}}}`, kind, raw)
		return pipestest.Check([]pipes.Message{opened, message(pipes.MethodMaterialize, params), closed})
	}
	for kind, list := range accepted {
		for _, raw := range list {
			if err := check(kind, raw); err != nil {
				t.Errorf("%s %s: %v", kind, raw, err)
			}
		}
	}
	for kind, list := range refused {
		for _, raw := range list {
			if err := check(kind, raw); err == nil || !strings.Contains(err.Error(), `"m"`) {
				t.Errorf("%s %s: error = %v, want one that names the value", kind, raw, err)
			}
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const line = `{"__dagster_pipes_version": "0.1", "method": "closed", "params": {}}`
	for _, test := range []struct {
		file string
		n    int
		want string
	}{
		{"", 0, ""},
		{line, 1, ""},
		{line + "\n" + line + "\r\n", 2, ""},
		{line + "\n\n" + line + "\n", 1, "line 2"},
		{"plain text\n", 0, "line 1"},
		{"1\n", 0, "line 1"},
		{`{"method": "closed", "params": {}}`, 0, "__dagster_pipes_version is missing"},
		{line[:20] + "\n" + line[20:], 0, "line 1"},
	} {
		got, err := pipestest.Parse([]byte(test.file))
		if len(got) != test.n || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%q) = %d messages, %v, want %d and %q", test.file, len(got), err, test.n, test.want)
		}
	}
}

func TestEnv(t *testing.T) {
	t.Parallel()
	env, messages := pipestest.Env(t, pipes.ContextData{RunID: "r1", AssetKeys: []string{"a"}})
	lookup := func(name string) (string, bool) {
		for _, entry := range env {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
	session, err := pipes.Open(t.Context(), &pipes.Options{Params: pipes.EnvParams{Lookup: lookup}})
	if err != nil {
		t.Fatal(err)
	}
	if session.Data().RunID != "r1" || len(messages()) != 1 {
		t.Errorf("run = %q, messages = %v", session.Data().RunID, messages())
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pipestest.Check(messages()); err != nil {
		t.Error(err)
	}
}
