"""RabbitMQ: messages that become jobs, and their answers."""
