package pipes_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// stdout plays Dagster for the examples: the context comes from a map and the messages go to standard output.
func stdout(data pipes.ContextData) *pipes.Options {
	params := make(pipes.MapParams)
	for name, v := range map[string]any{
		pipes.ContextVar:  map[string]any{"data": data},
		pipes.MessagesVar: map[string]any{"stdio": "stdout"},
	} {
		text, err := pipes.EncodeParams(v)
		if err != nil {
			panic(err)
		}
		params[name] = text
	}
	return &pipes.Options{
		Params:   params,
		Messages: pipes.DefaultMessages{Stdout: pipes.NewStreamOutput(os.Stdout)},
	}
}

func Example() {
	opts := stdout(pipes.ContextData{RunID: "r1", AssetKeys: []string{"video/crop"}})
	err := pipes.Run(context.Background(), opts, func(ctx context.Context, s *pipes.Session) error {
		key, err := s.Data().AssetKey()
		if err != nil {
			return err
		}
		s.Logger().Info("cropping", "asset", key)
		return s.Materialize(ctx, pipes.Materialization{
			DataVersion: "4f2a",
			Metadata:    pipes.Metadata{"dagster/row_count": pipes.Int(3)},
		})
	})
	fmt.Println("exit status", pipes.ExitStatus(err))
	// Output:
	// {"__dagster_pipes_version":"0.1","method":"opened","params":{"extras":{}}}
	// {"__dagster_pipes_version":"0.1","method":"log","params":{"message":"cropping asset=video/crop","level":"INFO"}}
	// {"__dagster_pipes_version":"0.1","method":"report_asset_materialization","params":{"asset_key":"video/crop","data_version":"4f2a","metadata":{"dagster/row_count":{"type":"int","raw_value":3}}}}
	// {"__dagster_pipes_version":"0.1","method":"closed","params":{}}
	// exit status 0
}

// Without Dagster the program runs all the same, and only its log is seen.
func ExampleRun_byHand() {
	opts := &pipes.Options{
		Params: pipes.MapParams{}, // as if the environment were empty
		Log: slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}),
	}
	err := pipes.Run(context.Background(), opts, func(ctx context.Context, s *pipes.Session) error {
		s.Logger().Info("cropping", "attached", s.Attached())
		return errors.Join(s.Materialize(ctx, pipes.Materialization{}), errors.New("file is empty"))
	})
	fmt.Println("exit status", pipes.ExitStatus(err))
	// Output:
	// level=INFO msg=cropping attached=false
	// exit status 1
}

// A report that Dagster would not take is refused, and the session goes on.
func ExampleSession_Materialize() {
	opts := stdout(pipes.ContextData{AssetKeys: []string{"a", "b"}})
	session, err := pipes.Open(context.Background(), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = session.Materialize(context.Background(), pipes.Materialization{AssetKey: "c"})
	fmt.Println(errors.Is(err, pipes.ErrScope))
	err = session.Materialize(context.Background(), pipes.Materialization{
		AssetKey: "a",
		Metadata: pipes.Metadata{
			"average": pipes.Float(2),
			"newest":  pipes.Timestamp(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)),
			"preview": pipes.Table(
				[]pipes.Column{{Name: "id"}, {Name: "frames", Type: "int"}},
				[]map[string]any{{"id": "v1", "frames": 240}},
			),
		},
	})
	fmt.Println(errors.Join(err, session.Close()))
	// Output:
	// {"__dagster_pipes_version":"0.1","method":"opened","params":{"extras":{}}}
	// true
	// {"__dagster_pipes_version":"0.1","method":"report_asset_materialization","params":{"asset_key":"a","data_version":null,"metadata":{"average":{"type":"float","raw_value":2.0},"newest":{"type":"timestamp","raw_value":1704067200.0},"preview":{"type":"table","raw_value":{"records":[{"frames":240,"id":"v1"}],"schema":[{"name":"id","type":"string"},{"name":"frames","type":"int"}]}}}}}
	// {"__dagster_pipes_version":"0.1","method":"closed","params":{}}
	// <nil>
}

// A function of AWS Lambda is called again and again in one process, each time with a session of its own. Dagster's
// PipesLambdaClient puts the parameters into the event, beside the caller's own keys, and reads the messages from the
// function's log.
func ExampleMapParams() {
	handler := func(ctx context.Context, event map[string]any) error {
		opts := &pipes.Options{
			Params:   pipes.MapParams(event),
			Messages: pipes.DefaultMessages{Stdout: pipes.NewStreamOutput(os.Stdout)},
		}
		return pipes.Run(ctx, opts, func(ctx context.Context, s *pipes.Session) error {
			return s.Send(ctx, "hello from "+s.Data().RunID)
		})
	}
	for _, run := range []string{"r1", "r2"} {
		event := map[string]any(stdout(pipes.ContextData{RunID: run}).Params.(pipes.MapParams))
		if err := handler(context.Background(), event); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// {"__dagster_pipes_version":"0.1","method":"opened","params":{"extras":{}}}
	// {"__dagster_pipes_version":"0.1","method":"report_custom_message","params":{"payload":"hello from r1"}}
	// {"__dagster_pipes_version":"0.1","method":"closed","params":{}}
	// {"__dagster_pipes_version":"0.1","method":"opened","params":{"extras":{}}}
	// {"__dagster_pipes_version":"0.1","method":"report_custom_message","params":{"payload":"hello from r2"}}
	// {"__dagster_pipes_version":"0.1","method":"closed","params":{}}
}
