// Package pipes is the Dagster Pipes protocol for a process that Dagster started: the process learns which assets and
// partition it is to compute, and tells Dagster what it does and how it ended. It depends on nothing but the standard
// library.
//
// Most programs are a main function and a step, which [Run] calls:
//
//	func main() {
//		opts := &pipes.Options{Signals: []os.Signal{syscall.SIGINT, syscall.SIGTERM}}
//		err := pipes.Run(context.Background(), opts, step)
//		if err != nil {
//			fmt.Fprintln(os.Stderr, err)
//		}
//		os.Exit(pipes.ExitStatus(err))
//	}
//
//	func step(ctx context.Context, s *pipes.Session) error {
//		s.Logger().Info("counting", "run", s.Data().RunID)
//		…
//		return s.Materialize(ctx, pipes.Materialization{
//			DataVersion: version,
//			Metadata:    pipes.Metadata{"dagster/row_count": pipes.Int(rows)},
//		})
//	}
//
// Started by hand, the same program runs to its end: its log goes to standard error and its reports nowhere. What is
// wrong with a report is told either way.
//
// # The protocol in one page
//
// Dagster leaves two small JSON objects for the process, each packed by zlib and base64, in the environment variables
// DAGSTER_PIPES_CONTEXT and DAGSTER_PIPES_MESSAGES (a [ParamsLoader] finds them; [ArgParams] and [MapParams] look on
// the command line and in a map). The first says where the step's context is: in a file or in the object itself (a
// [ContextLoader] reads it, giving [ContextData]). The second says where messages go: to a file, to a standard stream
// at once, or to one at the end (a [MessageOpener] opens it, giving a [MessageWriter]). Other places, such as an object
// store, are other implementations of these interfaces, chosen in [Options].
//
// A message is one line of JSON, {"__dagster_pipes_version": "0.1", "method": …, "params": {…}}. The first is opened,
// the last closed, each exactly once. Between them come, in any order, log records ([Session.Logger]), materializations
// ([Session.Materialize]), check results ([Session.Check]), custom payloads ([Session.Send]) and output of other
// processes ([Session.Forward]). Nothing comes back from Dagster.
//
// Dagster's reader stops at the first message that it does not understand, and silently loses all that follow, while
// the step may well be shown as a success. So every rule of the reader is checked before a message is sent; a report
// that breaks one is an error wrapping [ErrInvalid], [ErrScope] or [ErrReported], and nothing of it is written.
//
// # Closing
//
// A session that ends without closed is a warning in Dagster. One that ends with closed and an exception
// ([Session.CloseWithError]) shows the error with its causes, but it is the exit status that makes the step fail. Run
// does both halves: it closes with the outcome of the step, a panic and a signal included, and returns the error for
// [ExitStatus]. It does not help against os.Exit, runtime errors that cannot be recovered and SIGKILL.
//
// # Testing
//
// Package pipestest plays Dagster: it opens a session with a given context and returns the messages that were sent.
package pipes
