// Adapter is the program that Dagster's cross-language Pipes tests drive: its options say how it finds its context, where
// its messages go, what it expects and what it reports. What it did not expect ends it with status 1.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/azurepipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/databricks"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/gcspipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/s3pipes"
)

// expected is the error that the tests ask for.
type expected struct{}

func (expected) Error() string { return "Very bad error has happened!" }

// arguments are the program's options, as the tests name them.
type arguments struct {
	env, full, throwError, logging, output       bool
	contextLoader, messageWriter                 string
	jobName, extras, payload, asset, check, test string
}

func main() {
	var a arguments
	flags := flag.NewFlagSet("adapter", flag.ExitOnError)
	flags.BoolVar(&a.env, "env", false, "the parameters are in the environment (they are looked for everywhere)")
	flags.BoolVar(&a.full, "full", false, "send a custom message, too")
	flags.BoolVar(&a.throwError, "throw-error", false, "fail")
	flags.BoolVar(&a.logging, "logging", false, "log at every level")
	flags.BoolVar(&a.output, "output", false, "write to stdout and stderr")
	flags.StringVar(&a.contextLoader, "context-loader", "", "s3, gcs, azure, dbfs or volumes")
	flags.StringVar(&a.messageWriter, "message-writer", "", "s3, gcs, azure, dbfs or volumes")
	flags.StringVar(&a.jobName, "job-name", "", "the expected name of the job")
	flags.StringVar(&a.extras, "extras", "", "a file with the expected extras")
	flags.StringVar(&a.payload, "custom-payload-path", "", "a file with the payload to send, under the key payload")
	flags.StringVar(&a.payload, "custom-payload", "", "the same")
	flags.StringVar(&a.asset, "report-asset-materialization", "", "a file with the materialization to report")
	flags.StringVar(&a.check, "report-asset-check", "", "a file with the check to report")
	flags.StringVar(&a.test, "test-name", "", "the name of the test, which says nothing")
	_ = flags.Parse(pipes.ArgParams{}.Rest()) // it exits at an error
	err := run(a)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(pipes.ExitStatus(err))
}

// run does what the options say, in a session.
func run(a arguments) error {
	loader, _, err := channel(a.contextLoader)
	if err != nil {
		return err
	}
	_, opener, err := channel(a.messageWriter)
	if err != nil {
		return err
	}
	opts := &pipes.Options{
		Params:  pipes.AnyParams{pipes.EnvParams{}, pipes.ArgParams{}},
		Context: loader, Messages: opener,
		Signals: []os.Signal{syscall.SIGINT, syscall.SIGTERM},
	}
	return pipes.Run(context.Background(), opts, func(ctx context.Context, s *pipes.Session) error {
		if err := a.expect(s); err != nil {
			return err
		}
		return a.report(ctx, s)
	})
}

// channel returns where the context and the messages are.
func channel(name string) (pipes.ContextLoader, pipes.MessageOpener, error) {
	switch name {
	case "", "default":
		return nil, nil, nil
	case "s3":
		return s3pipes.New(nil), s3pipes.New(nil), nil
	case "gcs":
		return gcspipes.New(nil), gcspipes.New(nil), nil
	case "azure":
		client, err := azblob.NewClientFromConnectionString(os.Getenv("AZURE_STORAGE_CONNECTION_STRING"), nil)
		return azurepipes.New(client), azurepipes.New(client), err
	case "dbfs":
		dbfs := databricks.DBFS{Mount: os.Getenv("ADAPTER_DBFS")}
		return dbfs, dbfs, nil
	case "volumes":
		return databricks.Volumes{}, databricks.Volumes{}, nil
	}
	return nil, nil, fmt.Errorf("unknown channel %q", name)
}

// expect compares the context with what the tests say it is.
func (a arguments) expect(s *pipes.Session) error {
	if !s.Attached() {
		return errors.New("this process was not launched by Dagster")
	}
	if a.jobName != "" && s.Data().JobName != a.jobName {
		return fmt.Errorf("job %q, want %q", s.Data().JobName, a.jobName)
	}
	if a.extras == "" {
		return nil
	}
	var want map[string]any
	if err := readJSON(a.extras, &want); err != nil {
		return err
	}
	got := make(map[string]any)
	for name := range s.Data().Extras {
		var v any
		if _, err := s.Extra(name, &v); err != nil {
			return err
		}
		got[name] = v
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("extras %v, want %v", got, want)
	}
	return nil
}

// report makes the reports that the options ask for.
func (a arguments) report(ctx context.Context, s *pipes.Session) error {
	if a.logging {
		log := s.Logger()
		log.Debug("Debug message")
		log.Info("Info message")
		log.Warn("Warning message")
		log.Error("Error message")
		log.Log(ctx, pipes.LevelCritical, "Critical message")
	}
	if a.output {
		fmt.Println("on stdout")
		fmt.Fprintln(os.Stderr, "on stderr")
	}
	var errs []error
	if a.payload != "" {
		var file struct{ Payload json.RawMessage }
		errs = append(errs, readJSON(a.payload, &file), s.Send(ctx, file.Payload))
	} else if a.full {
		errs = append(errs, s.Send(ctx, "Hello from external process!"))
	}
	if a.throwError {
		errs = append(errs, expected{})
	}
	return errors.Join(append(errs, a.materialize(ctx, s), a.reportCheck(ctx, s))...)
}

// materialize reports the materialization that a file describes.
func (a arguments) materialize(ctx context.Context, s *pipes.Session) error {
	if a.asset == "" {
		return nil
	}
	var m struct{ AssetKey, DataVersion string }
	if err := readJSON(a.asset, &m); err != nil {
		return err
	}
	return s.Materialize(ctx, pipes.Materialization{
		AssetKey: m.AssetKey, DataVersion: m.DataVersion, Metadata: everyMetadata(),
	})
}

// reportCheck reports the check that a file describes.
func (a arguments) reportCheck(ctx context.Context, s *pipes.Session) error {
	if a.check == "" {
		return nil
	}
	var c struct {
		AssetKey, CheckName, Severity string
		Passed                        bool
	}
	if err := readJSON(a.check, &c); err != nil {
		return err
	}
	severity := pipes.SeverityError
	if c.Severity == pipes.SeverityWarn.String() {
		severity = pipes.SeverityWarn
	}
	return s.Check(ctx, pipes.CheckResult{
		AssetKey: c.AssetKey, Name: c.CheckName, Passed: c.Passed, Severity: severity, Metadata: everyMetadata(),
	})
}

// everyMetadata is the metadata of all reports.
func everyMetadata() pipes.Metadata {
	return pipes.Metadata{
		"text":        pipes.Text("hello"),
		"url":         pipes.URL("http://someurl.com"),
		"path":        pipes.Path("file://some/path"),
		"notebook":    pipes.Notebook("notebook"),
		"json_object": pipes.JSON(map[string]any{"key": "value"}),
		"json_array":  pipes.JSON([]any{map[string]any{"key": "value"}}),
		"md":          pipes.Markdown("**markdown**"),
		"bool_true":   pipes.Bool(true),
		"bool_false":  pipes.Bool(false),
		"float":       pipes.Float(1),
		"int":         pipes.Int(100),
		"dagster_run": pipes.DagsterRun("db892d7f-0031-4747-973d-22e8b9095d9d"),
		"asset":       pipes.Asset("foo", "bar"),
		"null":        pipes.Null(),
	}
}

// readJSON reads a file whose numbers stay exact.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
