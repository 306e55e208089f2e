# Kafka Connect with the Datagen connector, which makes up the walkthrough's sample records.
FROM confluentinc/cp-kafka-connect-base:7.9.5
RUN confluent-hub install --no-prompt confluentinc/kafka-connect-datagen:0.6.6
