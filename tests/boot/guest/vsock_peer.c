// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_peer.c - vsock for scripts of a guest, whose busybox knows none.
 *
 *	vsock_peer connect PORT		to the host: standard input goes there, and
 *					what comes from there to standard output
 *	vsock_peer echo PORT N		N connections get back what they send
 *	vsock_peer lose PORT		to the host, which sends back a byte: it says
 *					"connected" then, and awaits that it is reset
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define PIECE		(256 * 1024)
#define PATIENCE_S	90

/* Until the end of from. */
static void copy(int from, int to)
{
	static char bytes[PIECE];
	ssize_t len;

	while ((len = read(from, bytes, sizeof(bytes))) > 0)
		for (ssize_t done = 0, part; done < len; done += part) {
			part = write(to, bytes + done, (size_t)(len - done));
			if (part < 0)
				err(1, "write");
		}
	if (len < 0)
		err(1, "read");
}

static int new_socket(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

static int connect_to_host(unsigned port)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port,
	};
	int fd = new_socket();

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
	return fd;
}

static void exchange(unsigned port)
{
	int fd = connect_to_host(port);
	pid_t sender = fork();

	if (sender < 0)
		err(1, "fork");
	if (!sender) {
		copy(STDIN_FILENO, fd);
		if (shutdown(fd, SHUT_WR))
			err(1, "shutdown");
		exit(0);
	}
	copy(fd, STDOUT_FILENO);
}

static void lose(unsigned port)
{
	int fd = connect_to_host(port);
	char byte = 'x';

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		err(1, "a byte");
	puts("connected");
	fflush(stdout);
	if (read(fd, &byte, 1) >= 0)
		errx(1, "it has ended as if by the host");
	if (errno != ECONNRESET)
		err(1, "read");
}

static void echo(unsigned port, int nr)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port,
	};
	int listener = new_socket();

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, nr))
		err(1, "listen");
	for (int i = 0; i < nr; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			err(1, "accept");
		if (!fork()) {
			copy(fd, fd);
			exit(0);
		}
		close(fd);
	}
}

int main(int argc, char **argv)
{
	int status;

	/* Who waits in vain says so before the test's time is over. */
	alarm(PATIENCE_S);
	if (argc == 3 && !strcmp(argv[1], "connect"))
		exchange((unsigned)atoi(argv[2]));
	else if (argc == 3 && !strcmp(argv[1], "lose"))
		lose((unsigned)atoi(argv[2]));
	else if (argc == 4 && !strcmp(argv[1], "echo"))
		echo((unsigned)atoi(argv[2]), atoi(argv[3]));
	else
		errx(2, "usage: vsock_peer connect PORT | echo PORT N | lose PORT");
	while (wait(&status) > 0)
		if (status)
			return 1;
	return 0;
}
