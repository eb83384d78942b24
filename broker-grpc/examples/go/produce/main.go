// Appends the lines of standard input to a topic: produce HOST:PORT TOPIC.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "footman.example/footmanv1"
)

const batchRecords = 500

// Sends one request per batch, numbered: should one be sent again, the server recognises it.
func send(stream grpc.BidiStreamingClient[pb.ProduceRequest, pb.ProduceResponse], topic string) error {
	request := &pb.ProduceRequest{Topic: topic, RequestId: 1, ProducerId: rand.Uint64() | 1}
	flush := func() error {
		if len(request.Records) == 0 {
			return nil
		}
		if err := stream.Send(request); err != nil {
			return err
		}
		request.RequestId++
		request.FirstSequence += uint64(len(request.Records))
		request.Records = request.Records[:0]
		return nil
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		value := append([]byte(nil), lines.Bytes()...)
		request.Records = append(request.Records, &pb.Record{Value: value})
		if len(request.Records) == batchRecords {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return stream.CloseSend()
}

func run(server, topic string) error {
	conn, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := pb.NewBrokerClient(conn).Produce(context.Background())
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(stream, topic) }()

	appended := 0
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if refused := answer.GetError(); refused != nil {
			return fmt.Errorf("%s: %s", refused.Reason, refused.Message)
		}
		appended += int(answer.GetAck().Count)
	}
	fmt.Fprintf(os.Stderr, "%d records appended\n", appended)
	return <-sent
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: produce HOST:PORT TOPIC")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
